"""The DC planes from coarse to fine.

A plane is known first on a grid of stride 16; then each level halves the stride in two phases: the centres
of the squares ("diagonal": their four nearest known neighbours are diagonal), then the rest ("cross").
Every phase is one vectorised call, predicted from known values all around it, which no raster order can
offer.

Values are in fixed point, UNIT to a step: what is coded is the difference to the prediction, in grains, and
the prediction itself has the finer unit. So where nothing is coded, a plane is as smooth as its prediction.
Coarse grids, which everything after them leans on, have finer grains.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

BASE_STRIDE = 16
STRIDES = (8, 4, 2, 1)
UNIT = 8  # fixed point units a step
GRAINS = {16: 2, 8: 3, 4: 4, 2: 6, 1: 8}  # of each stride, in units: its quantization step
NEAREST = 4  # the first offsets of each list: the mean of these neighbours is the first guess

Offsets = tuple[tuple[int, int], ...]
_NEAR_DIAGONAL: Offsets = ((-1, -1), (-1, 1), (1, -1), (1, 1))
_FAR_DIAGONAL: Offsets = ((-1, -3), (-1, 3), (1, -3), (1, 3), (-3, -1), (-3, 1), (3, -1), (3, 1))
DIAGONAL: Offsets = (*_NEAR_DIAGONAL, *_FAR_DIAGONAL, (-3, -3), (-3, 3), (3, -3), (3, 3))
_NEAR_CROSS: Offsets = ((0, -1), (0, 1), (-1, 0), (1, 0))
_FAR_CROSS: Offsets = ((-1, -2), (-1, 2), (1, -2), (1, 2), (-2, -1), (-2, 1), (2, -1), (2, 1))
CROSS: Offsets = (*_NEAR_CROSS, *_FAR_CROSS, (0, -3), (0, 3), (-3, 0), (3, 0))
NEIGHBOURS = len(DIAGONAL)


@dataclass(frozen=True)
class Phase:
    """The places (n,) as flat indices of the plane, and the clamped places (16, n) of their neighbours."""

    stride: int
    kind: int  # 0 diagonal, 1 cross
    places: Tensor
    neighbours: Tensor


def base_places(height: int, width: int) -> Tensor:
    """Flat indices of the coarsest grid, row by row."""
    y, x = torch.arange(0, height, BASE_STRIDE)[:, None], torch.arange(0, width, BASE_STRIDE)
    return (y * width + x).reshape(-1)


def spread_base(height: int, width: int) -> Tensor:
    """(h * w,) index of the base place that each place starts from: the nearest one that exists."""
    rows = -(-height // BASE_STRIDE)
    columns = -(-width // BASE_STRIDE)
    y = ((torch.arange(height) + BASE_STRIDE // 2) // BASE_STRIDE).clamp(max=rows - 1)
    x = ((torch.arange(width) + BASE_STRIDE // 2) // BASE_STRIDE).clamp(max=columns - 1)
    return (y[:, None] * columns + x).reshape(-1)


@lru_cache(maxsize=32)
def phases(height: int, width: int) -> tuple[Phase, ...]:
    """All phases of a plane in coding order; phases without a place are left out."""
    with torch.inference_mode(False):  # whoever asks first, training may be the next
        return tuple(p for p in _phases(height, width) if len(p.places))


def _phases(height: int, width: int) -> Iterator[Phase]:
    y, x = torch.arange(height)[:, None], torch.arange(width)
    for stride in STRIDES:
        odd_y, odd_x = y % (2 * stride) == stride, x % (2 * stride) == stride
        even_y, even_x = y % (2 * stride) == 0, x % (2 * stride) == 0
        yield _phase(odd_y & odd_x, stride, 0, DIAGONAL)
        yield _phase((odd_y & even_x) | (even_y & odd_x), stride, 1, CROSS)


def _phase(mask: Tensor, stride: int, kind: int, offsets: Offsets) -> Phase:
    height, width = mask.shape
    y, x = mask.nonzero(as_tuple=True)
    near = [
        (y + dy * stride).clamp(0, height - 1) * width + (x + dx * stride).clamp(0, width - 1)
        for dy, dx in offsets
    ]
    return Phase(stride, kind, y * width + x, torch.stack(near))
