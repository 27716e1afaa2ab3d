"""The relaxation's p C and its derivative, held as lists of the non-zero weights: never N x K of them.

With k the nearest code vector, M = (C^T C + lambda I)^-1 and y = M (z - c_k), the relaxation is
p = proj(e_k + C y); the K x K system of the paper has the solution inside of the brackets. Scores are
computed for a block of vectors at a time, as (K, n), so that every sum over the codebook runs along
contiguous rows. Few weights are positive, and sums over them are `embedding_bag`s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from barycode.quantizers.nearest import block_rows, nearest
from barycode.quantizers.ragged import Ragged

MAXIMA = 32  # a threshold starts from that of so many of the scores, each the largest of a run
RUN_STEPS = 3
BACKWARD_ROWS = 4096  # of vectors, whose weights are sorted by code at once


def relaxed_combination(
    z: Float[Tensor, "n d"],
    codebook: Float[Tensor, "k d"],
    regularization: float,
    vertex: Int64[Tensor, " n"] | None = None,
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """(p C, p C with p held): the second's gradient moves only the codebook that combines.

    p is the relaxation of the program of Soft Convex Quantization (Algorithm 2). Differentiable once in z and
    the codebook. `vertex` saves the search where the nearest code vectors are known.
    """
    chosen = nearest(z, codebook) if vertex is None else vertex
    combined, held = _Combination.apply(z, codebook, regularization, chosen)
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
    def forward(
        ctx: Any, z: Tensor, codebook: Tensor, regularization: float, vertex: Tensor
    ) -> tuple[Tensor, Tensor]:
        relaxation = _Relaxation.of(codebook, regularization)
        combined = torch.empty_like(z)
        parts = [_project(relaxation.scores(z[:0], vertex[:0]))]
        for rows in _slices(len(z), block_rows(len(codebook))):
            scores = relaxation.scores(relaxation.directions(z[rows], vertex[rows]), vertex[rows])
            weights = _project(scores)
            combined[rows] = weights.combine(codebook)
            parts.append(weights)
        joined = Ragged.joined(parts)
        ctx.save_for_backward(z, codebook, vertex, joined.values, joined.codes, joined.starts)
        ctx.regularization = regularization
        return combined, combined.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, held: Tensor) -> tuple[Tensor | None, ...]:
        """With a = the gradient of p, projected onto the directions in which p can move, and x = C^T a:
        z gets M x, and the system's matrix C^T C + lambda I gets -(M x) y^T.
        """
        z, codebook, vertex, *parts = ctx.saved_tensors
        everything = Ragged(*parts)
        relaxation = _Relaxation.of(codebook, ctx.regularization)
        to_z, to_codebook = torch.empty_like(z), torch.zeros_like(codebook)
        to_system = torch.zeros_like(relaxation.inverse)
        for rows in _slices(len(z), BACKWARD_ROWS):
            weights = everything.part(rows)
            directions = relaxation.directions(z[rows], vertex[rows])
            pull = weights.centered(weights.products(gradient[rows], codebook))
            torch.mm(pull.combine(codebook), relaxation.inverse, out=to_z[rows])
            to_codebook += weights.spread(gradient[rows] + held[rows], len(codebook))
            to_codebook += pull.spread(directions, len(codebook))
            to_codebook.index_add_(0, vertex[rows], to_z[rows], alpha=-1)
            to_system.addmm_(to_z[rows].T, directions, alpha=-1)
        to_codebook.addmm_(codebook, to_system + to_system.T)
        return to_z, to_codebook, None, None


def _slices(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _project(scores: Tensor) -> Ragged:
    """Columns (K, n) projected onto the simplex: p = max(s - t, 0), t by Newton's method from below.

    Every step is exact once the entries above t are the right ones. The threshold of some entries is never
    above that of all: the maxima of runs of codes give a first t, and the few entries above it decide.
    """
    runs = scores
    if len(scores) > MAXIMA:
        count = len(scores) // MAXIMA
        runs = scores[: count * MAXIMA].view(count, MAXIMA, scores.shape[1]).amax(0)
    threshold = runs.amax(0) - 1
    for _ in range(RUN_STEPS):
        above = torch.sub(runs, threshold).clamp_(min=0)
        threshold += (above.sum(0) - 1) / above.sign_().sum(0)
    candidates = Ragged.of(torch.sub(scores, threshold).clamp_(min=0).T.contiguous())
    return candidates.projected(len(scores))
