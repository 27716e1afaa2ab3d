"""The sections of a file to tensors, one part at a time."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from torch import Tensor

from barycode.container import ByteReader, ContainerReader, Section
from barycode.errors import CorruptFileError, UnsupportedFileError
from barycode.rate import SymbolDecoder
from barycode.weights.entropy_coding.symbol_costs import Metered
from barycode.weights.entropy_coding.symbol_stream import Reading
from barycode.weights.file_format.codebooks import book_from_bytes, vectors_from_bytes
from barycode.weights.file_format.directory import Directory, Entry
from barycode.weights.file_format.methods import Exact, read_method
from barycode.weights.file_format.number_formats import FLOATS
from barycode.weights.file_format.part import Item, PartCoder
from barycode.weights.file_format.writer import KIND, MAX_GROWTH
from barycode.weights.quantization.dequantize import dequantize


class NetworkReader:
    """Reads the directory of a file at once, and the tensors part by part.

    Raises CorruptFileError for damaged files, UnsupportedFileError for files of a newer or another kind.
    """

    def __init__(self, stream: BinaryIO) -> None:
        reader = ContainerReader(stream)
        if reader.kind != KIND:
            raise UnsupportedFileError(f"This file holds {reader.kind!r}, not a network.")
        self._sections = iter(reader)
        first = next(self._sections, None)
        if first is None or first.tag != "HEAD":
            raise CorruptFileError("The file does not start with a directory: it is damaged.")
        self.directory = Directory.from_bytes(first.payload)
        self._books: list[Tensor] = []

    def tensors(self) -> Iterator[tuple[Entry, Tensor]]:
        """The tensors that are not tied to another, in order; then the file has been read to its end."""
        for _, items, results, _ in self._parts(metered=False):
            for item, result in zip(items, results, strict=True):
                yield item.entry, dequantize(item, result, self._books)

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors by name, in order; tied ones are the same object."""
        tensors = {entry.name: tensor for entry, tensor in self.tensors()}
        entries = self.directory.entries
        origins = {e.name: e.name if e.tied_to is None else entries[e.tied_to].name for e in entries}
        return {name: tensors[origin] for name, origin in origins.items()}

    def shares(self) -> Iterator[tuple[Item, float]]:
        """Every tensor, how it is coded, and the bits of its symbols: the file is decoded for it."""
        for _, items, _, bits in self._parts(metered=True):
            yield from zip(items, bits, strict=True)

    def _parts(self, metered: bool) -> Iterator[tuple[Section, list[Item], list, list[float]]]:
        waiting = [entry for entry in self.directory.entries if entry.tied_to is None]
        for section in self._sections:
            if section.tag == "BOOK":
                self._books.append(book_from_bytes(section.payload))
            elif section.tag == "VECT":
                self._books.append(vectors_from_bytes(section.payload))
            elif section.tag == "PART":
                items, data = _open(section.payload, waiting)
                del waiting[: len(items)]
                results, bits = _decode(items, data, metered)
                yield section, items, results, bits
            else:
                raise UnsupportedFileError(
                    f"The file has a {section.tag} section that this Barycode does not know: update Barycode."
                )
        if waiting:
            raise CorruptFileError(f"The file ends before the tensor {waiting[0].name!r}: it is damaged.")


def _open(payload: bytes, waiting: Sequence[Entry]) -> tuple[list[Item], bytes]:
    reader = ByteReader(payload, "A part")
    count = reader.varint()
    if not 0 < count <= len(waiting):
        raise CorruptFileError(f"A part claims {count} tensors where {len(waiting)} are left: damaged file.")
    items = [_item(entry, reader) for entry in waiting[:count]]
    entries = sum(item.entry.size for item in items)
    if entries > MAX_GROWTH * len(payload):
        raise CorruptFileError(
            f"A part claims {entries} entries in {len(payload)} bytes: the file is damaged or hostile."
        )
    data = reader.blob()
    if any(reader.raw(reader.remaining)):
        raise CorruptFileError("Bytes follow the codes of a part: the file is damaged.")
    return items, data


def _item(entry: Entry, reader: ByteReader) -> Item:
    method = read_method(reader)
    if entry.dtype not in FLOATS and not isinstance(method, Exact):
        raise CorruptFileError(f"The tensor {entry.name!r} is {entry.dtype} and quantized: damaged file.")
    return Item(entry, method)


def _decode(items: Sequence[Item], data: bytes, metered: bool) -> tuple[list, list[float]]:
    decoder = SymbolDecoder(data)
    exchange = Reading(decoder)
    coder = PartCoder(exchange, Metered(exchange) if metered else None)
    results = coder.code(items, None)
    decoder.finish()
    return results, [coder.bits.get(place, 0.0) for place in range(len(items))]
