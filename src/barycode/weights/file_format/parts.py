"""The parts of a file in any order, by its index."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from torch import Tensor

from barycode.container import ContainerReader, require_within
from barycode.errors import CorruptFileError, UnsupportedFileError
from barycode.weights.file_format.blocks import Block, parts_of
from barycode.weights.file_format.directory import Directory
from barycode.weights.file_format.index import sections_of
from barycode.weights.file_format.reader import decode_part, open_part, read_codebook
from barycode.weights.file_format.writer import KIND
from barycode.weights.quantization.dequantize import dequantize


@dataclass(frozen=True)
class _Place:
    """Where a section is: its number in the file, its first byte, how many codebooks are before it."""

    number: int
    offset: int
    codebooks: int


@dataclass(frozen=True)
class Piece:
    """A block of a tensor: the part it is in, its place there, its rows."""

    part: int
    place: int
    block: Block


class Parts:
    """Decodes the parts that are asked for; the stream has to be seekable.

    Memory is bounded by one part and the codebooks. Raises LimitError where the tensors have over `limit`
    bytes together, CorruptFileError for damaged files, UnsupportedFileError for those of another kind.
    """

    def __init__(self, stream: BinaryIO, limit: int | None) -> None:
        self._reader = ContainerReader(stream)
        if self._reader.kind != KIND:
            raise UnsupportedFileError(f"This file holds {self._reader.kind!r}, not a network.")
        places = sections_of(stream)
        if not places or places[0][0] != "HEAD":
            raise CorruptFileError("The file does not start with a directory: it is damaged.")
        self.directory = Directory.from_bytes(self._reader.section_at(0, places[0][1]).payload)
        require_within(limit, self.directory.nbytes, "The network")
        self._parts, self._codebooks = _placed(places)
        self.blocks = list(parts_of(self.directory.entries))
        if len(self._parts) != len(self.blocks):
            raise CorruptFileError(
                f"The file has {len(self._parts)} parts, where its tensors take {len(self.blocks)}: damaged."
            )
        self._loaded: list[Tensor] = []
        self._pieces: dict[str, list[Piece]] = {}
        for part, blocks in enumerate(self.blocks):
            for place, block in enumerate(blocks):
                self._pieces.setdefault(block.entry.name, []).append(Piece(part, place, block))

    def pieces(self, name: str) -> list[Piece]:
        """The blocks of a tensor that is not tied to another, first rows first."""
        return self._pieces[name]

    def decode(self, part: int) -> list[Tensor]:
        """The blocks `self.blocks[part]`, as they come back."""
        place = self._parts[part]
        codebooks = self._codebooks_before(place.codebooks)
        section = self._reader.section_at(place.number, place.offset)
        if section.tag != "PART":
            raise CorruptFileError("The index is not that of the file: it is damaged.")
        opened = open_part(section.payload, self.blocks[part], codebooks)
        results, _ = decode_part(opened)
        return [
            dequantize(item, result, codebooks) for item, result in zip(opened.items, results, strict=True)
        ]

    def _codebooks_before(self, count: int) -> list[Tensor]:
        for place in self._codebooks[len(self._loaded) : count]:
            self._loaded.append(read_codebook(self._reader.section_at(place.number, place.offset)))
        return self._loaded[:count]


def _placed(sections: Iterable[tuple[str, int]]) -> tuple[list[_Place], list[_Place]]:
    """The parts, and the codebooks."""
    parts: list[_Place] = []
    codebooks: list[_Place] = []
    for number, (tag, offset) in enumerate(sections):
        if number:
            (parts if tag == "PART" else codebooks).append(_Place(number, offset, len(codebooks)))
    return parts, codebooks
