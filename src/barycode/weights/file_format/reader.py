"""The sections of a file to tensors: all of them part by part, or those that are asked for."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from barycode.container import ByteReader, ContainerReader, Section, require_within
from barycode.errors import CorruptFileError, UnsupportedFileError
from barycode.weights.entropy_coding.symbol_costs import CostRecorder
from barycode.weights.entropy_coding.symbol_stream import reading
from barycode.weights.file_format.blocks import Block, parts_of
from barycode.weights.file_format.codebooks import centers_from_bytes, vectors_from_bytes
from barycode.weights.file_format.directory import Directory, Entry
from barycode.weights.file_format.index import TAG, read_index
from barycode.weights.file_format.items import Item, read_item
from barycode.weights.file_format.methods import Centers, CodeVectors
from barycode.weights.file_format.part import PartCoder, grouped
from barycode.weights.file_format.writer import KIND, MAX_GROWTH, padding
from barycode.weights.quantization.dequantize import dequantize
from barycode.weights.workers import IN_PROCESS, Workers

DEFAULT_LIMIT = 2**38  # bytes that the tensors of a file may have: 256 GiB


class Tensors(Protocol):
    """The tensors of a file, whichever way they come out of it."""

    directory: Directory

    def tensors(self) -> Iterator[tuple[Entry, Tensor]]: ...

    def blocks(self) -> Iterator[tuple[Block, Tensor]]: ...

    def state_dict(self) -> dict[str, Tensor]: ...


class NetworkReader:
    """Reads the directory of a file at once, and the tensors part by part.

    `limit` is how many bytes the tensors may have together. Raises LimitError beyond it, CorruptFileError
    for damaged files, UnsupportedFileError for files of a newer or another kind.
    """

    def __init__(
        self, stream: BinaryIO, limit: int | None = DEFAULT_LIMIT, workers: Workers = IN_PROCESS
    ) -> None:
        self._workers = workers
        reader = ContainerReader(stream)
        if reader.kind != KIND:
            raise UnsupportedFileError(f"This file holds {reader.kind!r}, not a network.")
        self._sections = iter(reader)
        first = next(self._sections, None)
        if first is None or first.tag != "HEAD":
            raise CorruptFileError("The file does not start with a directory: it is damaged.")
        self.directory = Directory.from_bytes(first.payload)
        require_within(limit, self.directory.nbytes, "The network")
        self._seen = [(first.tag, len(first.payload))]
        self._codebooks: list[Tensor] = []
        self._used_codebooks = 0

    def tensors(self) -> Iterator[tuple[Entry, Tensor]]:
        """The tensors that are not tied to another, in order; then the file has been read to its end."""
        parts: list[Tensor] = []
        for blocks, items, results, _ in self._parts(with_costs=False):
            for block, item, result in zip(blocks, items, results, strict=True):
                parts.append(dequantize(item, result, self._codebooks))
                if block.last:
                    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
                    parts.clear()
                    yield block.entry, whole.reshape(block.entry.shape)

    def blocks(self) -> Iterator[tuple[Block, Tensor]]:
        """The blocks of those tensors in order: a tensor that is large is never whole in memory."""
        for blocks, items, results, _ in self._parts(with_costs=False):
            for block, item, result in zip(blocks, items, results, strict=True):
                yield block, dequantize(item, result, self._codebooks)

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors by name, in order; tied ones are the same object."""
        return tied_again(self.directory, {entry.name: tensor for entry, tensor in self.tensors()})

    def shares(self) -> Iterator[tuple[Entry, str, float]]:
        """Every tensor that is not tied, how it is coded, and its bits: the file is decoded for it."""
        ways: list[str] = []
        spent = 0.0
        for blocks, items, _, bits in self._parts(with_costs=True):
            for block, item, own in zip(blocks, items, bits, strict=True):
                ways.append(item.words)
                spent += own
                if block.last:
                    yield block.entry, " / ".join(dict.fromkeys(ways)), spent
                    ways, spent = [], 0.0

    def _parts(
        self, with_costs: bool
    ) -> Iterator[tuple[list[Block], list[Item], list[NDArray], list[float]]]:
        told: deque[tuple[list[Block], list[Item]]] = deque()  # of the parts that are being decoded

        def jobs() -> Iterator[tuple[OpenedPart, bool]]:
            for blocks, part in self._opened():
                told.append((blocks, part.items))
                yield part, with_costs

        for results, bits in self._workers.ordered(decode_part, jobs()):
            yield *told.popleft(), results, bits

    def _opened(self) -> Iterator[tuple[list[Block], "OpenedPart"]]:
        """The parts in the order of the file, whose end is checked."""
        waiting = parts_of(self.directory.entries)
        indexed, parts = False, 0
        for section in self._sections:
            if indexed:
                raise CorruptFileError("Sections follow the index: the file is damaged.")
            if section.tag == TAG:
                indexed = read_index(section.payload) == self._seen
                if not indexed:
                    raise CorruptFileError("The index is not that of the file: it is damaged.")
                continue
            self._seen.append((section.tag, len(section.payload)))
            if section.tag == "PART":
                parts += 1
                blocks = next(waiting, None)
                if blocks is None:
                    raise CorruptFileError("A part follows the last tensor: the file is damaged.")
                opened = open_part(section.payload, blocks, self._codebooks)
                self._require_used_codebooks(opened.items)
                yield blocks, opened
            else:
                self._codebooks.append(read_codebook(section))
        if indexed != (parts > 1):
            raise CorruptFileError(
                "Files of several parts, and no others, have an index: this one is damaged."
            )
        if (missing := next(waiting, None)) is not None:
            raise CorruptFileError(
                f"The file ends before the tensor {missing[0].entry.name!r}: it is damaged."
            )
        self._require_used_codebooks([])

    def _require_used_codebooks(self, items: Sequence[Item]) -> None:
        """Raise CorruptFileError unless codebooks come in the order of their first uses, before that part."""
        for item in items:
            if (
                isinstance(item.method, Centers | CodeVectors)
                and item.method.codebook == self._used_codebooks
            ):
                self._used_codebooks += 1
        if self._used_codebooks != len(self._codebooks):
            raise CorruptFileError(
                "A codebook is not used, or does not come where it is first used: the file is damaged."
            )


def tied_again(directory: Directory, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All tensors by name, in order, of those that are not tied: the same object for all names of one."""
    entries = directory.entries
    origins = {e.name: e.name if e.tied_to is None else entries[e.tied_to].name for e in entries}
    return {name: tensors[origin] for name, origin in origins.items()}


def read_codebook(section: Section) -> Tensor:
    """The codebook of a section."""
    if section.tag == "BOOK":
        return centers_from_bytes(section.payload)
    if section.tag == "VECT":
        return vectors_from_bytes(section.payload)
    raise UnsupportedFileError(
        f"The file has a {section.tag} section that this Barycode does not know: update Barycode."
    )


@dataclass(frozen=True)
class OpenedPart:
    """What a decoder is told of a part's tensors, the coded symbols, and the groups beside them."""

    items: list[Item]
    data: bytes
    groups: list[bytes]


def open_part(payload: bytes, blocks: Sequence[Block], codebooks: Sequence[Tensor]) -> OpenedPart:
    """The fields of a part, checked."""
    reader = ByteReader(payload, "A part")
    count = reader.varint()
    if count != len(blocks):
        raise CorruptFileError(f"A part claims {count} tensors, not {len(blocks)}: the file is damaged.")
    items = [read_item(reader, reader.u8(), block.part, codebooks) for block in blocks]
    entries = sum(item.entry.size for item in items)
    if entries > MAX_GROWTH * len(payload):
        raise CorruptFileError(
            f"A part claims {entries} entries in {len(payload)} bytes: the file is damaged or hostile."
        )
    data = reader.blob()
    groups = [reader.blob() for _ in grouped(items)]
    rest = reader.raw(reader.remaining)
    if any(rest) or len(rest) != padding(entries, len(payload) - len(rest)):
        raise CorruptFileError("Bytes follow the codes of a part: the file is damaged.")
    return OpenedPart(items, data, groups)


def decode_part(part: OpenedPart, with_costs: bool = False) -> tuple[list[NDArray], list[float]]:
    """What `PartCoder` gives for the items, and their bits `with_costs`."""
    exchange = reading(part.data, sum(item.entry.size for item in part.items))
    coder = PartCoder(exchange, CostRecorder(exchange) if with_costs else None, part.groups)
    results = coder.code(part.items, None)
    exchange.finish()
    return results, coder.costs()
