"""How tensors are cut and grouped into parts. It follows from the directory alone, so no file tells it.

A tensor of more than PART_ENTRIES entries is cut by rows into blocks that are coded like tensors of their
own; a part has the next tensors or blocks until they are PART_ENTRIES entries together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

from torch import Tensor

from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.number_formats import element_bytes

PART_ENTRIES = 2**20
PART_TENSORS = 2**12


@dataclass(frozen=True)
class Block:
    """Rows `start` to `stop` of a tensor seen as `rows` x `row`; of most tensors there is one, the whole."""

    entry: Entry
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def whole(self) -> bool:
        return self.start == 0 and (not self.shape or self.stop == self.shape[0])

    @property
    def last(self) -> bool:
        """Whether the tensor ends with this block."""
        return not self.shape or self.stop == self.shape[0]

    @property
    def part(self) -> Entry:
        """The block as a tensor of its own."""
        if self.whole:
            return self.entry
        return Entry(self.entry.name, (self.stop - self.start, *self.shape[1:]), self.entry.dtype)

    @property
    def row_bytes(self) -> int:
        return prod(self.shape[1:]) * element_bytes(self.entry.dtype)

    def of(self, tensor: Tensor) -> Tensor:
        """Its entries of the whole tensor; a view where there can be one."""
        return tensor if self.whole else tensor.reshape(self.shape)[self.start : self.stop]


def blocks_of(entry: Entry) -> Iterator[Block]:
    """The blocks of a tensor, first rows first, as even as they can be."""
    if entry.size <= PART_ENTRIES:
        yield Block(entry, entry.shape, 0, entry.shape[0] if entry.shape else 1)
        return
    shape = _in_rows(entry.shape)
    count = -(-shape[0] // max(PART_ENTRIES // prod(shape[1:]), 1))
    for number in range(count):
        yield Block(entry, shape, number * shape[0] // count, (number + 1) * shape[0] // count)


def parts_of(entries: Iterable[Entry]) -> Iterator[list[Block]]:
    """The blocks of every part, in the order of the file; tied tensors have none of their own."""
    part: list[Block] = []
    size = 0
    for entry in entries:
        if entry.tied_to is not None:
            continue
        for block in blocks_of(entry):
            part.append(block)
            size += block.part.size
            if size >= PART_ENTRIES or len(part) >= PART_TENSORS:
                yield part
                part, size = [], 0
    if part:
        yield part


def _in_rows(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with as many first extents in one as it takes for a row to fit a part."""
    axis = next(k for k in range(1, len(shape) + 1) if prod(shape[k:]) <= PART_ENTRIES)
    return (prod(shape[:axis]), *shape[axis:])
