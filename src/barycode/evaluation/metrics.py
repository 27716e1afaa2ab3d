"""What a picture lost and what it cost, with every setting pinned.

All metrics compare two uint8 pictures of the same shape, (height, width) or (height, width, 3), uncropped.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pytorch_msssim import ms_ssim as five_scales

from barycode.errors import InvalidInputError
from barycode.evaluation import ssimulacra2 as scale

PEAK = 255.0
MS_SSIM_WINDOW = 11
MS_SSIM_SIGMA = 1.5
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_CONSTANTS = (0.01, 0.03)
# The window must still fit after four halvings.
MS_SSIM_SMALLEST_SIDE = (MS_SSIM_WINDOW - 1) * 2 ** (len(MS_SSIM_WEIGHTS) - 1) + 1

Pixels = npt.NDArray[np.uint8]


def mse(original: Image.Image | Pixels, decoded: Image.Image | Pixels) -> float:
    """Mean of (x - y)^2 over all pixels and channels."""
    x, y = _pair(original, decoded)
    difference = x.astype(np.int32) - y
    return float(np.mean(difference * difference))


def psnr(original: Image.Image | Pixels, decoded: Image.Image | Pixels) -> float:
    """Peak signal-to-noise ratio, 10 log10(255^2 / mse) dB over all channels; infinite if nothing differs."""
    return psnr_of_mse(mse(original, decoded))


def psnr_of_mse(error: float) -> float:
    """10 log10(255^2 / error), in dB."""
    return 10 * math.log10(PEAK**2 / error) if error > 0 else math.inf


def ms_ssim(original: Image.Image | Pixels, decoded: Image.Image | Pixels) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003), a mean over the channels.

    1 is identical. Five scales by 2x2 averages, an 11x11 Gaussian window of sigma 1.5 without padding,
    K = (0.01, 0.03), in float32.
    Raises InvalidInputError when a side is under 161 pixels: the fifth scale would not hold one window.
    """
    planes = [np.atleast_3d(pixels).transpose(2, 0, 1)[None] for pixels in _pair(original, decoded)]
    x, y = (torch.from_numpy(plane.astype(np.float32)) for plane in planes)
    if min(x.shape[2:]) < MS_SSIM_SMALLEST_SIDE:
        raise InvalidInputError(
            f"MS-SSIM needs both sides of a picture to be at least {MS_SSIM_SMALLEST_SIDE} pixels, "
            f"this one is {x.shape[3]}x{x.shape[2]}; compare it by PSNR."
        )
    settings: dict[str, Any] = {
        "data_range": PEAK,
        "win_size": MS_SSIM_WINDOW,
        "win_sigma": MS_SSIM_SIGMA,
        "weights": list(MS_SSIM_WEIGHTS),
        "K": MS_SSIM_CONSTANTS,
    }
    return float(five_scales(x, y, **settings))


def ms_ssim_db(similarity: float) -> float:
    """-10 log10(1 - MS-SSIM): the scale on which MS-SSIM curves are read."""
    return -10 * math.log10(1 - similarity) if similarity < 1 else math.inf


def ssimulacra2(original: Image.Image | Pixels, decoded: Image.Image | Pixels) -> float:
    """SSIMULACRA2 (Sneyers 2022, version 2.1): 100 is identical, 90 visually lossless, 70 high, 50 medium.

    Grey pictures are compared as RGB. Raises InvalidInputError when a side is under 8 pixels.
    """
    x, y = _pair(original, decoded)
    if min(x.shape[:2]) < scale.SMALLEST_SIDE:
        raise InvalidInputError(
            f"SSIMULACRA2 needs both sides of a picture to be at least {scale.SMALLEST_SIDE} pixels, "
            f"this one is {x.shape[1]}x{x.shape[0]}; compare it by PSNR."
        )
    rgb = [np.broadcast_to(np.atleast_3d(pixels), (*pixels.shape[:2], 3)) for pixels in (x, y)]
    return scale.score(*rgb)


def bpp(size: int, pixels: int) -> float:
    """Bits per pixel of a file of `size` bytes, every byte counted; InvalidInputError without pixels."""
    if pixels <= 0:
        raise InvalidInputError(f"bits per pixel needs a positive number of pixels, got {pixels}.")
    return 8 * size / pixels


def _pair(original: Image.Image | Pixels, decoded: Image.Image | Pixels) -> tuple[Pixels, Pixels]:
    x, y = np.asarray(original), np.asarray(decoded)
    for pixels in (x, y):
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.size == 0:
            raise InvalidInputError(
                f"a metric compares uint8 pictures (height, width) or (height, width, channels), "
                f"got {pixels.dtype} of shape {pixels.shape}."
            )
    if x.shape != y.shape:
        raise InvalidInputError(f"a metric compares pictures of the same shape, got {x.shape} and {y.shape}.")
    return x, y
