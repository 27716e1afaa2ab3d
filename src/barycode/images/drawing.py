"""Screens, text and points of light: few colours in runs or alone, which a transform codes badly.

A drawing stores pixels apart from the transform, as one lossless WebP: a whole picture, or those pixels of
it that are not transparent, over what the transform codes (mixed raster content, ITU-T T.44). Its colours
may be quantized to a codebook first.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, WebPImagePlugin

from barycode.container import least_bytes
from barycode.errors import CorruptFileError
from barycode.images.tile import BLOCKS_PER_BYTE
from barycode.images.transform import BLOCK
from barycode.rate import require_least

LARGEST_SIDE = 16383  # of a WebP
LARGEST = 2**26  # pixels: the encoder holds several whole planes while it looks for what to draw
REPEATED = 0.4  # of the pixels equal their left neighbour, in a picture that is worth a try
FEW = 32  # colours of a picture that is worth a try wherever they are: dithered ones, checks, halftones
PALETTES = (8, 16, 32, 64, 256)
LLOYD = 4  # iterations of k-means after the median cut
METHOD = 4  # of WebP's six: more take many times as long for one or two percent
OPAQUE = 255


@dataclass(frozen=True)
class Drawing:
    """`pixels` uint8 (H, W, 3), and which of them are `drawn`, bool (H, W); the others are zero."""

    pixels: np.ndarray
    drawn: np.ndarray

    @property
    def is_whole(self) -> bool:
        return bool(self.drawn.all())

    def over(self, below: np.ndarray) -> np.ndarray:
        """What is drawn, and the pixels (H, W, 3) `below` everywhere else."""
        return np.where(self.drawn[:, :, None], self.pixels, below)

    @cached_property
    def data(self) -> bytes:
        """A lossless WebP, with an alpha plane of 0 and 255 unless the whole picture is drawn."""
        opaque = self.drawn[:, :, None].astype(np.uint8) * OPAQUE
        planes = self.pixels if self.is_whole else np.concatenate([self.pixels, opaque], 2)
        buffer = io.BytesIO()
        Image.fromarray(planes).save(buffer, "WEBP", lossless=True, quality=100, method=METHOD)
        return buffer.getvalue()


def may_be_drawn(colour: np.ndarray) -> bool:
    """Whether (H, W, 3) is small enough to be looked at as a whole."""
    height, width = colour.shape[:2]
    return max(height, width) <= LARGEST_SIDE and height * width <= LARGEST


def is_drawing(colour: np.ndarray) -> bool:
    """Whether uint8 (H, W, 3) looks drawn: many pixels equal their left neighbour, or colours are few."""
    if Image.fromarray(colour).getcolors(FEW) is not None:
        return True
    return bool(colour.shape[1] > 1 and (colour[:, 1:] == colour[:, :-1]).all(2).mean() >= REPEATED)


def drawings(colour: np.ndarray, drawn: np.ndarray) -> Iterator[Drawing]:
    """Ways to store the pixels of (H, W, 3) that are `drawn`, bool (H, W): the exact one first, then with
    ever more colours.
    """
    if not drawn.any():
        return
    alone = Image.fromarray(colour[drawn][None])
    known = len(alone.getcolors(PALETTES[-1]) or range(PALETTES[-1] + 1))
    for colours in (None, *(size for size in PALETTES if size < known)):
        pixels = np.zeros_like(colour)
        pixels[drawn] = np.asarray(alone if colours is None else _quantized(alone, colours))[0]
        drawing = Drawing(pixels, drawn)
        if len(drawing.data) >= _least(*drawn.shape):
            yield drawing


def unpack_drawing(data: bytes, width: int, height: int) -> Drawing:
    """CorruptFileError for anything but a lossless picture of that size whose pixels are drawn or zero."""
    require_least(data, _least(height, width))
    try:
        if not _is_one_lossless_chunk(data):
            raise ValueError("not pixels alone")
        # Not Image.open, which refuses what is larger than its own idea of a bomb: the size is checked here.
        with WebPImagePlugin.WebPImageFile(io.BytesIO(data)) as image:
            if image.size != (width, height) or getattr(image, "n_frames", 1) != 1:
                raise ValueError(f"{image.width} x {image.height} pixels")
            planes = np.asarray(image)
        drawn = planes[:, :, 3] if planes.shape[2] == 4 else np.full(planes.shape[:2], OPAQUE, np.uint8)
        drawing = Drawing(planes[:, :, :3], drawn == OPAQUE)
        if not drawing.drawn.any() or planes[~drawing.drawn].any():
            raise ValueError("pixels that are neither drawn nor empty")
        if drawing.is_whole != (planes.shape[2] == 3):
            raise ValueError("an alpha plane that says nothing")
        return drawing
    except Exception as error:  # damaged pictures raise nearly everything in Pillow
        raise CorruptFileError(
            f"The drawing cannot be read as {width} x {height} lossless pixels: the file is damaged."
        ) from error


def _is_one_lossless_chunk(data: bytes) -> bool:
    """RIFF's simple form: what describes a picture has sections of its own."""
    riff, length, kind, inner = struct.unpack("<4sI8sI", data[:20])
    return riff == b"RIFF" and kind == b"WEBPVP8L" and len(data) == length + 8 == 20 + inner + inner % 2


def _quantized(image: Image.Image, colours: int) -> Image.Image:
    indexed = image.quantize(colours, Image.Quantize.MEDIANCUT, LLOYD, dither=Image.Dither.NONE)
    return indexed.convert("RGB")


def _least(height: int, width: int) -> int:
    return least_bytes(-(-height // BLOCK) * -(-width // BLOCK), BLOCKS_PER_BYTE)
