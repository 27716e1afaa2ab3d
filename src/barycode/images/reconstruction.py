"""From codes to pixels, tile by tile."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from barycode.images.model import ImageModel
from barycode.images.slices import DC_BANDS
from barycode.images.tile import Setting
from barycode.images.tiling import HALO, PIXEL_TILE, Tile, tiles
from barycode.images.transform import BANDS, BLOCK
from barycode.progress import watched

LARGEST = 2048  # beyond any code of 8-bit pixels, and as far as float16 holds whole numbers


class PictureCodes:
    """The codes of a whole picture of (h, w) blocks, put together from its tiles: DC float32 (3, h, w), the
    other bands int8 (192, h, w), float16 once any has needed it, and in `places` the multiplier (h, w) of
    the step in every block.
    """

    def __init__(self, height: int, width: int) -> None:
        self.dc = np.empty((len(DC_BANDS), height, width), np.float32)
        self.bands = np.empty((BANDS, height, width), np.int8)
        self.places = np.ones((height, width), np.float32)

    @property
    def size(self) -> tuple[int, int]:
        return self.places.shape[0], self.places.shape[1]

    def put(self, tile: Tile, codes: Tensor, places: Tensor) -> None:
        """The codes (192, h, w) of one tile, and its multipliers (1, 1, h, w)."""
        window = (slice(tile.top, tile.bottom), slice(tile.left, tile.right))
        self.dc[(slice(None), *window)] = codes[list(DC_BANDS)].numpy()
        narrow = codes.to(torch.int8)
        differs = narrow != codes
        narrow[list(DC_BANDS)], differs[list(DC_BANDS)] = 0, False
        if self.bands.dtype == np.int8 and differs.any():
            self.bands = self.bands.astype(np.float16)
        is_narrow = self.bands.dtype == np.int8
        self.bands[(slice(None), *window)] = (narrow if is_narrow else codes.clamp(-LARGEST, LARGEST)).numpy()
        self.places[window] = places[0, 0].numpy()


@dataclass(frozen=True)
class _Reconstruction:
    """What the threads share: the codes and the picture's step (1,)."""

    model: ImageModel
    codes: PictureCodes
    step: Tensor

    @torch.inference_mode()
    def pixels(self, tile: Tile) -> np.ndarray:
        """uint8 (8 h, 8 w, 3) of a tile, from codes around it as far as the network sees."""
        around = tile.grown(HALO, *self.codes.size)
        window = (slice(around.top, around.bottom), slice(around.left, around.right))
        codes = torch.from_numpy(self.codes.bands[(slice(None), *window)]).float()
        codes[list(DC_BANDS)] = torch.from_numpy(self.codes.dc[(slice(None), *window)])
        places = torch.from_numpy(self.codes.places[window])[None, None]
        decoded = self.model.decode(codes[None], self.model.steps_of(self.step, places), self.step)[0]
        rows = slice((tile.top - around.top) * BLOCK, (tile.bottom - around.top) * BLOCK)
        columns = slice((tile.left - around.left) * BLOCK, (tile.right - around.left) * BLOCK)
        return decoded[:, rows, columns].round_().clamp_(0, 255).permute(1, 2, 0).to(torch.uint8).numpy()


def reconstruct(
    model: ImageModel, codes: PictureCodes, setting: Setting, size: tuple[int, int]
) -> np.ndarray:
    """What the codes of a picture of `size` (height, width) decode to: uint8 (height, width, 3). Each tile is
    one thread's work, so the result does not depend on their number.
    """
    height, width = codes.size
    pixels = np.empty((height * BLOCK, width * BLOCK, 3), np.uint8)
    reconstruction = _Reconstruction(model, codes, setting.step())

    def one(tile: Tile) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            rows, columns = (
                slice(tile.top * BLOCK, tile.bottom * BLOCK),
                slice(tile.left * BLOCK, tile.right * BLOCK),
            )
            pixels[rows, columns] = reconstruction.pixels(tile)
        finally:
            torch.set_num_threads(before)

    places = list(tiles(height, width, PIXEL_TILE))
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for _ in zip(watched("pixels", places), pool.map(one, places), strict=True):
            pass
    pixels = pixels[: size[0], : size[1]]
    return np.repeat(pixels[:, :, 1:2], 3, 2) if setting.grey else pixels
