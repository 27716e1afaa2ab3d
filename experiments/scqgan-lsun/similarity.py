"""Multi-scale structural similarity for pictures too small for the usual five scales."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

WINDOW, SIGMA = 11, 1.5
CONSTANTS = (0.01**2, 0.03**2)
THREE_SCALES = (0.0448, 0.2856, 0.3001)  # the first of the usual five weights


def ms_ssim(x: Tensor, y: Tensor, weights: Sequence[float] = THREE_SCALES) -> Tensor:
    """MS-SSIM (Wang, Simoncelli, Bovik 2003) of each pair (B,), over as many scales as weights.

    Pictures (B, C, H, W) in [0, 1]; the last scale must hold an 11x11 window. Weights are scaled to
    add up to one.
    """
    result = torch.ones(x.shape[:2], dtype=x.dtype)
    for scale, weight in enumerate(weights):
        luminance, contrast = _terms(x, y)
        last = scale == len(weights) - 1
        term = (luminance * contrast if last else contrast).mean((2, 3)).clamp_min(0)
        result = result * term ** (weight / sum(weights))
        x, y = (functional.avg_pool2d(picture, 2) for picture in (x, y))
    return result.mean(1)


def _terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast with structure, at every place of the window."""
    mean_x, mean_y = _blur(x), _blur(y)
    square_x, square_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + CONSTANTS[0]) / (mean_x**2 + mean_y**2 + CONSTANTS[0])
    contrast = (2 * covariance + CONSTANTS[1]) / (square_x + square_y + CONSTANTS[1])
    return luminance, contrast


def _blur(x: Tensor) -> Tensor:
    places = torch.arange(WINDOW, dtype=x.dtype) - WINDOW // 2
    window = torch.exp(-places.square() / (2 * SIGMA**2))
    window = (window / window.sum()).expand(x.shape[1], 1, 1, WINDOW)
    across = functional.conv2d(x, window, groups=x.shape[1])
    return functional.conv2d(across, window.mT, groups=x.shape[1])
