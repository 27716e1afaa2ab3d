"""The relaxation's p C in blocks, with a hand-written backward: the memory of a block, not N x K.

With k the nearest code vector, M = (C^T C + lambda I)^-1 and y = M (z - c_k), the relaxation is
p = proj(e_k + C y); the K x K system of the paper has the solution inside of the brackets. A block holds p as
(K, n), so that every sum over the codebook runs along contiguous rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from barycode.quantizers.nearest import block_rows, nearest

RUNS, WORTHWHILE = (
    8,
    64,
)  # the threshold starts from the maxima of so many runs of codes, from so many codes on
STEPS = 100  # Newton's method needs about five, and ends by itself


def relaxed_combination(
    z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], regularization: float
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """(p C, p C with p held): the second's gradient moves only the codebook that combines.

    p is the relaxation of the program of Soft Convex Quantization (Algorithm 2). Differentiable once in z and
    the codebook; backward computes p again.
    """
    combined, held = _Combination.apply(z, codebook, regularization)
    return combined, held


@dataclass(frozen=True)
class _Relaxation:
    codebook: Tensor
    inverse: Tensor  # M, (d, d)

    @classmethod
    def of(cls, codebook: Tensor, regularization: float) -> _Relaxation:
        precise = codebook.double()
        system = precise.T @ precise
        system.diagonal().add_(regularization)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(system))
        return cls(codebook, inverse.to(codebook.dtype))

    def directions(self, z: Tensor, vertex: Tensor) -> Tensor:
        """Y (n, d)."""
        return (z - self.codebook[vertex]) @ self.inverse

    def scores(self, directions: Tensor, vertex: Tensor) -> Tensor:
        """e_k + C y, (K, n)."""
        scores = self.codebook @ directions.T
        return scores.scatter_add_(0, vertex[None], torch.ones_like(scores[:1]))


class _Combination(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, codebook: Tensor, regularization: float) -> tuple[Tensor, Tensor]:
        relaxation = _Relaxation.of(codebook, regularization)
        vertex = nearest(z, codebook)
        combined, thresholds = torch.empty_like(z), torch.empty_like(z[:, 0])
        for rows in _blocks(z, codebook):
            directions = relaxation.directions(z[rows], vertex[rows])
            scores = relaxation.scores(directions, vertex[rows])
            thresholds[rows] = _threshold(scores)
            weights = scores.sub_(thresholds[rows]).clamp_(min=0)
            torch.mm(weights.T, codebook, out=combined[rows])
        ctx.save_for_backward(z, codebook, vertex, thresholds)
        ctx.regularization = regularization
        return combined, combined.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, held: Tensor) -> tuple[Tensor, Tensor, None]:
        """With a = the gradient of p, projected onto the directions in which p can move, and x = C^T a:
        z gets M x, and the system's matrix C^T C + lambda I gets -(M x) y^T.
        """
        z, codebook, vertex, thresholds = ctx.saved_tensors
        relaxation = _Relaxation.of(codebook, ctx.regularization)
        to_z, to_codebook = torch.empty_like(z), torch.zeros_like(codebook)
        to_system = torch.zeros_like(relaxation.inverse)
        for rows in _blocks(z, codebook):
            directions = relaxation.directions(z[rows], vertex[rows])
            scores = relaxation.scores(directions, vertex[rows])
            weights = scores.sub_(thresholds[rows]).clamp_(min=0)
            to_codebook.addmm_(weights, gradient[rows] + held[rows])
            support = weights.sign_()
            pull = (codebook @ gradient[rows].T).mul_(support)
            pull.addcmul_(support, pull.sum(0) / support.sum(0), value=-1)
            torch.mm(pull.T @ codebook, relaxation.inverse, out=to_z[rows])
            to_codebook.addmm_(pull, directions).index_add_(0, vertex[rows], to_z[rows], alpha=-1)
            to_system.addmm_(to_z[rows].T, directions, alpha=-1)
        to_codebook.addmm_(codebook, to_system + to_system.T)
        return to_z, to_codebook, None


def _blocks(z: Tensor, codebook: Tensor) -> Iterator[slice]:
    size = block_rows(len(codebook))
    return (slice(start, start + size) for start in range(0, len(z), size))


def _threshold(scores: Tensor) -> Tensor:
    """t (n,) with sum_k max(s_k - t, 0) = 1 in each column, by Newton's method from below.

    Every step is exact once the entries above t are the right ones. The maxima of runs are a subset of the
    entries, and the threshold of a subset is never above that of all: they bring t near at an eighth of the
    cost.
    """
    threshold = scores.amax(0) - 1
    if len(scores) >= WORTHWHILE:
        whole = scores[: len(scores) // RUNS * RUNS]
        threshold = _newton(whole.view(RUNS, -1, scores.shape[1]).amax(0), threshold)
    return _newton(scores, threshold)


def _newton(scores: Tensor, threshold: Tensor) -> Tensor:
    precision = 4 * torch.finfo(scores.dtype).eps
    for _ in range(STEPS):
        above = (scores - threshold).clamp_(min=0)
        excess = above.sum(0) - 1
        step = excess / above.sign_().sum(0)
        threshold = threshold + step
        if not bool((step > precision * (1 + threshold.abs())).any()):
            break
    return threshold
