"""The order in which codes are written: what may be known when a code is decoded.

First the three DC planes, coarse to fine (`lattice`); then the AC bands in slices of similar frequency,
luma before chroma. A slice is decoded in one vectorised call, or in two, where the second half of the
checkerboard sees the first: neighbours in the same band are worth most in the lowest frequencies.
"""

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


def checkerboard(height: int, width: int) -> Tensor:
    """(h, w) bool: the places of the first pass."""
    y, x = torch.arange(height)[:, None], torch.arange(width)
    return (y + x) % 2 == 0
