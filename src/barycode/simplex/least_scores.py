"""The least score of each vector, by numba: one pass, where PyTorch takes three."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from barycode.machine_code import INSTALLED, compiled

MANY = 2**22  # scores that are worth loading numba for, unless it is there already


def applies(codebook: Tensor, count: int) -> bool:
    """Whether the scores of so many vectors under a codebook are for machine code."""
    if not INSTALLED or codebook.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return count * len(codebook) >= MANY or "numba" in sys.modules


def find(scores: Tensor, half_norms: Tensor) -> Tensor:
    """The lowest row with the least of scores (K, n) + half_norms (K, 1) in each column; 0 where no score
    is finite.
    """
    best = np.empty(scores.shape[1], np.int32)
    _kernel()(scores.numpy(), half_norms.flatten().numpy(), best)
    return torch.from_numpy(best)


@lru_cache(maxsize=1)
def _kernel() -> Any:
    return compiled(_find)


def _find(scores, half_norms, best):  # type: ignore[no-untyped-def]
    rows, columns = scores.shape
    least = np.full(columns, np.inf, scores.dtype)
    best[:] = 0
    for row in range(rows):
        offset = half_norms[row]
        for column in range(columns):
            score = scores[row, column] + offset
            better = score < least[column]
            least[column] = score if better else least[column]
            best[column] = np.int32(row) if better else best[column]
    for column in range(columns):
        if not np.isfinite(least[column]):
            best[column] = 0
