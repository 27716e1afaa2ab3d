"""What the encoder sees of a picture, tile by tile."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from barycode.images.tiling import Tile, sample_tile
from barycode.images.transform import BLOCK, MARGIN, Analysis


@dataclass(frozen=True)
class Window:
    """The coefficients (192, h, w) of a tile, its pixels (1, 3, 8 h, 8 w), and which rows and columns of them
    count for its error: pixels at its inner borders are decoded from both sides, and those beyond the picture
    are padding.
    """

    coefficients: Tensor
    pixels: Tensor
    rows: slice
    columns: slice

    def inside(self, planes: Tensor) -> Tensor:
        """The rows and columns that count of planes (..., 8 h, 8 w)."""
        return planes[..., self.rows, self.columns]


def window_of(analysis: Analysis, image: np.ndarray, tile: Tile) -> Window:
    """A tile of an image, uint8 (H, W, 3)."""
    with torch.inference_mode():
        pixels = sample_tile(image, tile)
        coefficients = analysis(pixels)[0]
    own = _own(tile.top, tile.bottom, image.shape[0]), _own(tile.left, tile.right, image.shape[1])
    return Window(coefficients, pixels[..., MARGIN:-MARGIN, MARGIN:-MARGIN], *own)


def _own(first: int, last: int, length: int) -> slice:
    start, stop = first * BLOCK, last * BLOCK
    return slice(MARGIN if start else 0, (stop - MARGIN if stop < length else length) - start)
