"""What the encoder sees of a picture, tile by tile."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from barycode.images.tiling import Tile, sample_tile
from barycode.images.transform import BLOCK, MARGIN, Analysis

Planes = TypeVar("Planes", Tensor, np.ndarray)


@dataclass(frozen=True)
class Window:
    """The coefficients (192, h, w) of a tile, its pixels (1, 3, 8 h, 8 w), and which of them count for its
    error: not those at its inner borders, which are decoded from both sides, nor those beyond the picture,
    nor those that a drawing covers, where `counted` (1, 1, 8 h, 8 w) is zero.
    """

    coefficients: Tensor
    pixels: Tensor
    rows: slice
    columns: slice
    counted: Tensor

    def inside(self, planes: Planes) -> Planes:
        """The rows and columns that count of planes (..., 8 h, 8 w) or larger."""
        return planes[..., self.rows, self.columns]


def window_of(analysis: Analysis, image: np.ndarray, tile: Tile, free: np.ndarray | None = None) -> Window:
    """A tile of an image, uint8 (H, W, 3), whose `free` pixels, bool (H, W), do not count."""
    with torch.inference_mode():
        sampled = sample_tile(image, tile)
        counted = torch.ones(1, 1, 1, 1)
        if free is not None:
            counted = 1 - _within(sample_tile(free[:, :, None], tile))
        coefficients = analysis(sampled)[0]
    own = _own(tile.top, tile.bottom, image.shape[0]), _own(tile.left, tile.right, image.shape[1])
    return Window(coefficients, _within(sampled), *own, counted)


def _within(sampled: Tensor) -> Tensor:
    return sampled[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def _own(first: int, last: int, length: int) -> slice:
    start, stop = first * BLOCK, last * BLOCK
    return slice(MARGIN if start else 0, (stop - MARGIN if stop < length else length) - start)
