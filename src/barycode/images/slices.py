"""The order in which codes are written: what may be known when a code is decoded.

First the three DC planes, coarse to fine (`lattice`); then the AC bands in slices of similar frequency,
luma before chroma. A slice is decoded in one vectorised call, or in two, where the second half of the
checkerboard sees the first: neighbours in the same band are worth most in the lowest frequencies. Where a
slice is coded in patches, the squares of the checkerboard are whole patches, so that no member of a patch
sees another; the places at the edge that fill no patch are coded one by one, after them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from barycode.images.transform import BLOCK


@dataclass(frozen=True)
class Slice:
    """Bands that are coded together; `passes` is 1, or 2 for a checkerboard."""

    bands: tuple[int, ...]
    passes: int

    @property
    def is_chroma(self) -> bool:
        return self.bands[0] >= BLOCK * BLOCK


def band(colour: int, vertical: int, horizontal: int) -> int:
    return (colour * BLOCK + vertical) * BLOCK + horizontal


def diagonals(colour: int, first: int, last: int) -> tuple[int, ...]:
    """The bands of one colour whose two frequencies add up to `first` ... `last`."""
    pairs = [(u, v) for u in range(BLOCK) for v in range(BLOCK) if first <= u + v <= last]
    return tuple(band(colour, u, v) for u, v in sorted(pairs, key=lambda p: (p[0] + p[1], p[0])))


LUMA = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 8), (9, 14))
CHROMA = ((1, 1), (2, 2), (3, 4), (5, 14))
CHECKERED = 4  # that many luma slices go in two passes
DC_BANDS = tuple(band(colour, 0, 0) for colour in range(3))


def _slices() -> tuple[Slice, ...]:
    luma = [Slice(diagonals(0, *d), 2 if i < CHECKERED else 1) for i, d in enumerate(LUMA)]
    chroma = [Slice(diagonals(1, *d) + diagonals(2, *d), 1) for d in CHROMA]
    return (*luma, *chroma)


SLICES = _slices()


Shape = tuple[int, int]


@dataclass(frozen=True)
class Part:
    """Places of one call, patch by patch: int64 (n * dimension,) of the flat plane."""

    places: Tensor
    dimension: int


def passes(size: Shape, patch: Shape, count: int) -> Iterator[list[Part]]:
    """The calls of each of `count` passes (1 or 2) over a plane of `size` (h, w) in patches of this shape."""
    first = checkerboard(size, patch).flatten()
    whole = patches(size, patch)
    for number in range(count):
        now = first != bool(number) if count == 2 else torch.ones_like(first)
        places = whole[now[whole[:, 0]]]
        now = now.index_fill(0, places.flatten(), False)
        found = [Part(places.flatten(), places.shape[1]), Part(now.nonzero()[:, 0], 1)]
        yield [part for part in found if len(part.places)]


def checkerboard(size: Shape, patch: Shape = (1, 1)) -> Tensor:
    """(h, w) bool: the places of the first pass; its squares are patches."""
    y, x = torch.arange(size[0])[:, None] // patch[0], torch.arange(size[1]) // patch[1]
    return (y + x) % 2 == 0


def patches(size: Shape, patch: Shape) -> Tensor:
    """The flat places (n, d) of the patches that fit into a plane of `size` (h, w), row by row."""
    rows, columns = size[0] // patch[0], size[1] // patch[1]
    plane = torch.arange(size[0] * size[1]).view(size)[: rows * patch[0], : columns * patch[1]]
    grid = plane.reshape(rows, patch[0], columns, patch[1]).permute(0, 2, 1, 3)
    return grid.reshape(rows * columns, patch[0] * patch[1])
