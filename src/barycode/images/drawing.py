"""Screens, text and drawings: few colours in runs, which a transform codes badly and a palette well.

Such a picture may be stored as a lossless WebP, whole or with its colours quantized to a codebook of 16 to
256, where that costs less squared error + trade * bits than the transform. Photos are not tried: they have
hardly two neighbours alike.
"""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image, WebPImagePlugin

from barycode.container import least_bytes
from barycode.errors import CorruptFileError
from barycode.images.tile import BLOCKS_PER_BYTE
from barycode.images.transform import BLOCK
from barycode.rate import require_least

LARGEST_SIDE = 16383  # of a WebP
REPEATED = 0.4  # of the pixels equal their left neighbour, in a picture that is worth a try
PALETTES = (16, 32, 64, 256)
LLOYD = 4  # iterations of k-means after the median cut
METHOD = 4  # of WebP's six: more take many times as long for one or two percent


def is_drawing(colour: np.ndarray) -> bool:
    """Whether uint8 (H, W, 3) looks drawn: many pixels equal their left neighbour."""
    if max(colour.shape[:2]) > LARGEST_SIDE or colour.shape[1] < 2:
        return False
    return bool((colour[:, 1:] == colour[:, :-1]).all(2).mean() >= REPEATED)


def drawings(colour: np.ndarray) -> Iterator[tuple[bytes, np.ndarray]]:
    """Ways to store a picture, the exact one first: bytes, and what they decode to."""
    image = Image.fromarray(colour)
    known = len(image.getcolors(PALETTES[-1]) or range(PALETTES[-1] + 1))
    for colours in (None, *(size for size in PALETTES if size < known)):
        near = image if colours is None else _quantized(image, colours)
        data = _pack(near)
        if len(data) >= _least(image.height, image.width):
            yield data, np.asarray(near)


def unpack_drawing(data: bytes, width: int, height: int) -> np.ndarray:
    """The pixels, uint8 (H, W, 3); CorruptFileError for anything but a lossless picture of that size."""
    require_least(data, _least(height, width))
    try:
        if not _is_one_lossless_chunk(data):
            raise ValueError("not pixels alone")
        # Not Image.open, which refuses what is larger than its own idea of a bomb: the size is checked here.
        with WebPImagePlugin.WebPImageFile(io.BytesIO(data)) as image:
            if image.size != (width, height) or getattr(image, "n_frames", 1) != 1:
                raise ValueError(f"{image.width} x {image.height} pixels")
            return np.asarray(image.convert("RGB"))
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


def _pack(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, quality=100, method=METHOD)
    return buffer.getvalue()


def _least(height: int, width: int) -> int:
    return least_bytes(-(-height // BLOCK) * -(-width // BLOCK), BLOCKS_PER_BYTE)
