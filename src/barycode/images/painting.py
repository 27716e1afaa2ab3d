"""From codes to pixels, tile by tile."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from barycode.images.model import ImageModel
from barycode.images.precision import prefers_bfloat16
from barycode.images.tiling import HALO, PIXEL_TILE, Tile, tiles
from barycode.images.transform import BLOCK

LARGEST = 2048  # beyond any code of 8-bit pixels


@dataclass(frozen=True)
class Canvas:
    """The codes (192, h, w) of a picture as float16, which holds them exactly up to LARGEST, and the step
    multiplier (h, w) of every block.
    """

    codes: np.ndarray
    places: np.ndarray


def paint(model: ImageModel, canvas: Canvas, step: Tensor) -> np.ndarray:
    """uint8 pixels (8 h, 8 w, 3). Each tile is one thread's work, so the result does not depend on their
    number.
    """
    height, width = canvas.codes.shape[1:]
    pixels = np.empty((height * BLOCK, width * BLOCK, 3), np.uint8)

    def one(tile: Tile) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            pixels[_pixels(tile)] = _paint_tile(model, canvas, step, tile)
        finally:
            torch.set_num_threads(before)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(one, tiles(height, width, PIXEL_TILE)))
    return pixels


def _pixels(tile: Tile) -> tuple[slice, slice]:
    return slice(tile.top * BLOCK, tile.bottom * BLOCK), slice(tile.left * BLOCK, tile.right * BLOCK)


@torch.inference_mode()
def _paint_tile(model: ImageModel, canvas: Canvas, step: Tensor, tile: Tile) -> np.ndarray:
    height, width = canvas.codes.shape[1:]
    around = tile.grown(HALO, height, width)
    window = (slice(around.top, around.bottom), slice(around.left, around.right))
    codes = torch.from_numpy(canvas.codes[(slice(None), *window)]).float()[None]
    places = torch.from_numpy(canvas.places[window])[None, None]
    steps = step * model.config.policy.combine(places)
    half = prefers_bfloat16(codes.device)
    painted = model.decoder(codes.contiguous(memory_format=torch.channels_last), steps, step, half=half)
    inner = painted[
        0,
        :,
        slice(*_inner(tile.top, tile.bottom, around.top)),
        slice(*_inner(tile.left, tile.right, around.left)),
    ]
    return inner.round_().clamp_(0, 255).permute(1, 2, 0).to(torch.uint8).numpy()


def _inner(first: int, last: int, start: int) -> tuple[int, int]:
    return (first - start) * BLOCK, (last - start) * BLOCK
