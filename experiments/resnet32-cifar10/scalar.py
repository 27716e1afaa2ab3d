"""Scalar quantizers of all matrices of a network at once, without training: codes and centers.

`importance` weighs squared errors, one number a weight: the diagonal of a Hessian, or ones.
"""

import numpy as np
import torch
from classical import Coded
from numpy.typing import NDArray

from barycode.quantizers.codebook.kmeans_1d import kmeans_1d

Weights = NDArray[np.float32]
ECSQ_ROUNDS = 30


def kmeans(weights: Weights, centers: int, importance: Weights) -> Coded:
    """Centers of least weighted squared error for the weights that are not zero, and zero."""
    alive = weights != 0
    found = kmeans_1d(torch.from_numpy(weights[alive]), centers, torch.from_numpy(importance[alive])).numpy()
    table = np.unique(np.append(found, np.float32(0)))
    codes = _nearest(weights, table)
    codes[~alive] = np.searchsorted(table, 0)
    return Coded(codes, table)


def uniform(weights: Weights, step: float, importance: Weights) -> Coded:
    """Cells of one width, each with the weighted mean of its weights as center, but zero at zero."""
    codes = np.rint(weights / step).astype(np.int64)
    return _with_means(weights, codes - codes.min(), int(-codes.min()), importance)


def entropy_constrained(weights: Weights, step: float, importance: Weights, price: float) -> Coded:
    """Iterative ECSQ: codes of least  h (w - c)^2 + price * bits,  then centers and bits anew, in turns.

    From uniform cells; `price` in squared steps a bit, for a weight of mean importance.
    """
    coded = uniform(weights, step, importance)
    scale = (importance / importance.mean()).astype(np.float32)
    for _ in range(ECSQ_ROUNDS):
        counts = np.bincount(coded.codes, minlength=len(coded.centers))
        used = counts > 0
        used[coded.zero] = True
        bits = -np.log2(np.maximum(counts[used], 1) / weights.size).astype(np.float32)
        centers = coded.centers[used]
        codes = _cheapest(weights, centers, scale, price * step**2 * bits)
        coded = _with_means(weights, codes, int(np.abs(centers).argmin()), importance)
    return coded


def _cheapest(weights: Weights, centers: Weights, scale: Weights, costs: Weights) -> NDArray[np.int64]:
    best, codes = np.full(weights.size, np.inf, np.float32), np.zeros(weights.size, np.int64)
    for code, (center, cost) in enumerate(zip(centers, costs, strict=True)):
        total = scale * (weights - center) ** 2 + cost
        better = total < best
        best[better], codes[better] = total[better], code
    return codes


def _with_means(weights: Weights, codes: NDArray[np.int64], zero: int, importance: Weights) -> Coded:
    """Centers at the weighted means of the cells that have weights; the one of code `zero` at zero."""
    used, codes = np.unique(codes, return_inverse=True)
    mass, sums = np.bincount(codes, importance), np.bincount(codes, importance * weights)
    means = np.divide(sums, mass, out=np.zeros_like(sums), where=mass > 0)
    return Coded(codes, np.where(used == zero, 0, means).astype(np.float32))


def _nearest(weights: Weights, table: Weights) -> NDArray[np.int64]:
    return np.searchsorted((table[1:] + table[:-1]) / 2, weights)
