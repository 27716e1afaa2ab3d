"""Pictures of any size in tiles of bounded memory.

Codes are written in tiles of 1024 x 1024 pixels. Pixels are made in smaller tiles with a halo of codes
around them wide enough for the decoder network to see what it would see in the whole picture. Both
divisions depend on the picture's size alone, never on the machine, and each pixel tile is computed by one
thread: so the pixels do not depend on how many threads there are, nor on the order in which tiles are made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from barycode.images.transform import BLOCK, MARGIN

CODE_TILE = 128  # blocks
PIXEL_TILE = 48  # blocks; larger ones only take more memory
HALO = 3  # blocks: one of the transform, and six convolutions of the filter at 1/2 see no further


@dataclass(frozen=True)
class Tile:
    """A rectangle of blocks: rows top ... bottom - 1, columns left ... right - 1."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    def grown(self, halo: int, height: int, width: int) -> "Tile":
        return Tile(
            max(0, self.top - halo),
            min(height, self.bottom + halo),
            max(0, self.left - halo),
            min(width, self.right + halo),
        )


def tiles(height: int, width: int, largest: int) -> Iterator[Tile]:
    """Divide blocks evenly into tiles of at most `largest` a side, row by row."""
    rows, columns = cuts(height, largest), cuts(width, largest)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            yield Tile(top, bottom, left, right)


def code_tiles(height: int, width: int) -> list[Tile]:
    """The tiles in which the codes of a picture of so many pixels are written."""
    return list(tiles(blocks(height), blocks(width), CODE_TILE))


def cuts(length: int, largest: int) -> list[int]:
    parts = max(1, -(-length // largest))
    return [length * i // parts for i in range(parts + 1)]


def blocks(pixels: int) -> int:
    return -(-pixels // BLOCK)


def sample_tile(image: np.ndarray, tile: Tile) -> Tensor:
    """The pixels (1, 3, 8 h + 8, 8 w + 8) of a tile with the margin that the analysis needs; edges repeat
    and mirror.
    """
    rows = _sources(tile.top, tile.bottom, image.shape[0])
    columns = _sources(tile.left, tile.right, image.shape[1])
    return torch.from_numpy(image[rows][:, columns]).permute(2, 0, 1)[None].float()


def _sources(first: int, last: int, length: int) -> np.ndarray:
    """Which sample stands at each place: repeated up to whole blocks, mirrored beyond them."""
    padded = blocks(length) * BLOCK
    places = np.arange(first * BLOCK - MARGIN, last * BLOCK + MARGIN)
    places = np.where(places < 0, -1 - places, places)
    places = np.where(places >= padded, 2 * padded - 1 - places, places)
    return np.minimum(places, length - 1)
