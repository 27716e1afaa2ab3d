"""The directory of a file: what tensors there are, and which of them are one and the same."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch

from barycode.container import ByteReader, ByteWriter
from barycode.errors import CorruptFileError, InvalidInputError, UnsupportedFileError
from barycode.weights.file_format.number_formats import DTYPES, dtype_code, element_bytes

MAX_TENSORS = 2**20
MAX_DIMENSIONS = 64
MAX_ENTRIES = 2**34  # of one tensor
MAX_BYTES = 2**26  # of the directory


@dataclass(frozen=True)
class Entry:
    """A tensor's name and form. `tied_to` is the place of the earlier tensor whose memory it shares."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    tied_to: int | None = None

    @property
    def size(self) -> int:
        """The number of entries."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * element_bytes(self.dtype)


@dataclass(frozen=True)
class Directory:
    """All tensors in order, and the text that came along (`__metadata__` of a safetensors file)."""

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]

    @property
    def nbytes(self) -> int:
        """Of all tensors as they come back, tied ones counted once."""
        return sum(entry.nbytes for entry in self.entries if entry.tied_to is None)

    def check(self) -> None:
        """Raise InvalidInputError for what a file cannot hold: before there is work done on it."""
        if len(self.entries) > MAX_TENSORS:
            raise InvalidInputError(f"{len(self.entries)} tensors: a file holds at most {MAX_TENSORS}.")
        names: set[str] = set()
        for entry in self.entries:
            _check_name(entry.name)
            if entry.name in names:
                raise InvalidInputError(f"Two tensors are called {entry.name!r}: rename one of them.")
            names.add(entry.name)
            dtype_code(entry.dtype, entry.name)
            if wrong := _beyond(entry.shape):
                raise InvalidInputError(f"The tensor {entry.name!r} {wrong}: a file cannot hold it.")
        _metadata_text(self.metadata)

    def to_bytes(self) -> bytes:
        """Columns, deflated: names, dtypes, ties, shapes, metadata."""
        self.check()
        writer = ByteWriter()
        writer.varint(len(self.entries))
        writer.text("\0".join(entry.name for entry in self.entries))
        writer.raw(bytes(dtype_code(entry.dtype, entry.name) for entry in self.entries))
        for entry in self.entries:
            writer.varint(0 if entry.tied_to is None else 1 + entry.tied_to)
        for entry in self.entries:
            writer.varint(len(entry.shape))
            for extent in entry.shape:
                writer.varint(extent)
        writer.text(_metadata_text(self.metadata))
        if writer.size > MAX_BYTES:
            raise InvalidInputError(
                f"Names, shapes and metadata have {writer.size:,} bytes: a file holds at most {MAX_BYTES:,}."
            )
        return zlib.compress(writer.finish(), 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Directory":
        """What `to_bytes` wrote; CorruptFileError for anything else, in bounded memory."""
        reader = ByteReader(_inflate(data), "The directory")
        count = reader.varint()
        if count > min(MAX_TENSORS, reader.remaining):
            raise CorruptFileError(f"The directory claims {count} tensors: the file is damaged or hostile.")
        text = reader.text()
        names = text.split("\0") if count or text else []
        if len(names) != count or len(set(names)) != count:
            raise CorruptFileError("The directory's names are not as many as its tensors, each its own.")
        dtypes = [_dtype(code) for code in reader.raw(count)]
        ties = [reader.varint() for _ in range(count)]
        shapes = [_shape(reader) for _ in range(count)]
        metadata = _metadata(reader.text())
        reader.finish()
        entries = [
            Entry(name, shape, dtype, tie - 1 if tie else None)
            for name, shape, dtype, tie in zip(names, shapes, dtypes, ties, strict=True)
        ]
        for place, entry in enumerate(entries):
            _check_tie(entry, place, entries)
        return cls(tuple(entries), metadata)


def _check_name(name: str) -> None:
    if not isinstance(name, str) or "\0" in name or not _is_unicode(name):
        raise InvalidInputError(
            f"The tensor name {name!r} is not a text without zero characters and lone surrogates."
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _metadata_text(metadata: Mapping[str, str]) -> str:
    if not metadata:
        return ""
    if not all(isinstance(text, str) and _is_unicode(text) for pair in metadata.items() for text in pair):
        raise InvalidInputError("The metadata are not texts by name, without lone surrogates.")
    return json.dumps(dict(metadata), ensure_ascii=False)


def _dtype(code: int) -> torch.dtype:
    dtype = DTYPES[code] if code < len(DTYPES) else None
    if dtype is None:
        raise UnsupportedFileError(
            f"The file has tensors of number format {code}, which this Barycode or PyTorch does not know."
        )
    return dtype


def _shape(reader: ByteReader) -> tuple[int, ...]:
    dimensions = reader.varint()
    if dimensions > MAX_DIMENSIONS:
        raise CorruptFileError(f"A tensor claims {dimensions} dimensions: the file is damaged or hostile.")
    shape = tuple(reader.varint() for _ in range(dimensions))
    if wrong := _beyond(shape):
        raise CorruptFileError(f"A tensor {wrong}: the file is damaged or hostile.")
    return shape


def _beyond(shape: tuple[int, ...]) -> str | None:
    """What is beyond the limits in a shape, those of writer and reader alike."""
    if len(shape) > MAX_DIMENSIONS:
        return f"has {len(shape)} dimensions, more than {MAX_DIMENSIONS}"
    size = 1
    for extent in shape:
        size *= max(extent, 1)
        if size > MAX_ENTRIES:
            return f"has the shape {shape}, more than {MAX_ENTRIES:,} entries without its empty extents"
    return None


def _check_tie(entry: Entry, place: int, entries: list[Entry]) -> None:
    if entry.tied_to is None:
        return
    if entry.tied_to >= place:
        raise CorruptFileError(f"The tensor {entry.name!r} is tied to a later one: the file is damaged.")
    other = entries[entry.tied_to]
    if other.tied_to is not None or (other.shape, other.dtype) != (entry.shape, entry.dtype):
        raise CorruptFileError(f"The tensor {entry.name!r} is tied to another kind: the file is damaged.")


def _metadata(text: str) -> dict[str, str]:
    try:
        metadata = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise CorruptFileError("The metadata are not JSON: the file is damaged.") from error
    texts = isinstance(metadata, dict) and all(
        isinstance(text, str) and _is_unicode(text) for pair in metadata.items() for text in pair
    )
    if not texts:
        raise CorruptFileError("The metadata are not texts by name: the file is damaged.")
    if _metadata_text(metadata) != text:
        raise CorruptFileError("The metadata are not written as an encoder writes them: the file is damaged.")
    return metadata


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise CorruptFileError("The directory is damaged.") from error
    if not inflater.eof or inflater.unused_data:
        raise CorruptFileError("The directory is truncated, too large, or followed by other data.")
    return plain
