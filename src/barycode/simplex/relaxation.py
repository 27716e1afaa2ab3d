"""The relaxation of the program of Soft Convex Quantization (Algorithm 2) and its derivative.

With p~ the vertex of the nearest code vector c, M = (C^T C + lambda I)^-1 and y = M (z - c), the relaxation
is p = proj(p~ + C y): the K x K system (C C^T + lambda I) p = C z + lambda p~ of the paper has the solution
inside of the brackets. Scores are computed for a block of vectors at a time; what is kept of them are the
few positive weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.simplex.first_order import first_order
from barycode.simplex.nearest import SEARCH_ELEMENTS, block_rows, nearest
from barycode.simplex.support import Ragged, Support

MAXIMA = 64  # of the scores of a vector, each the largest of a run: a threshold starts from theirs
BOUND_STEPS = 4
STEPS = 100  # of Newton's method, which needs about five and ends by itself
WORD_BITS = 3  # of the place of a boolean among the eight of a 64-bit word


@dataclass(frozen=True)
class Relaxation:
    """A codebook (K, d) and M (d, d)."""

    codebook: Float[Tensor, "k d"]
    inverse: Float[Tensor, "d d"]

    @classmethod
    def of(cls, codebook: Tensor, regularization: Tensor) -> Relaxation:
        precise = codebook.detach().double()
        system = precise.T @ precise
        system.diagonal().add_(regularization.detach())
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(system))
        return cls(codebook.detach(), inverse.to(codebook.dtype))

    def directions(self, z: Float[Tensor, "n d"], vertex: Int64[Tensor, " n"]) -> Float[Tensor, "n d"]:
        """y of vectors whose nearest code vectors are known."""
        return (z - self.codebook.index_select(0, vertex)) @ self.inverse

    def weights(self, directions: Float[Tensor, "n d"], vertex: Int64[Tensor, " n"]) -> Ragged:
        """p, block by block."""
        size = len(self.codebook)
        width = -(-size // MAXIMA) * MAXIMA
        rows = block_rows(width, SEARCH_ELEMENTS)
        scores = directions.new_empty(rows, width)
        blocks = zip(directions.split(rows), vertex.split(rows), strict=True)
        return Ragged.joined([self._block(y, chosen, scores[: len(y)]) for y, chosen in blocks])

    def _block(self, directions: Tensor, vertex: Tensor, scores: Tensor) -> Ragged:
        size = len(self.codebook)
        torch.mm(directions, self.codebook.T, out=scores[:, :size])
        scores.scatter_add_(1, vertex[:, None], torch.ones_like(scores[:, :1]))
        scores[:, size:] = -torch.inf
        return _projected(_positive(_above_bound(scores), size))


def relax(
    z: Float[Tensor, "n d"],
    codebook: Float[Tensor, "k d"],
    regularization: Float[Tensor, ""],
    vertex: Int64[Tensor, " n"] | None = None,
) -> Ragged:
    """p = proj(p~ + C y), differentiable once in z, the codebook and lambda by the chain rule.

    `vertex` saves the search where the nearest code vectors are known.
    """
    chosen = nearest(z, codebook) if vertex is None else vertex
    with torch.no_grad():
        relaxation = Relaxation.of(codebook, regularization)
        directions = relaxation.directions(z, chosen)
        found = relaxation.weights(directions, chosen)
    point = _Point(directions, chosen, relaxation.inverse, found)
    return Ragged(_Derivative.apply(z, codebook, regularization, point), found.support)


def relaxed_weights(
    z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], regularization: Float[Tensor, ""]
) -> tuple[Float[Tensor, "n s"], Int64[Tensor, "n s"]]:
    """The same as weights (n, s) with their codes, s the largest support; spare places weigh 0."""
    return relax(z, codebook, regularization).padded()


@dataclass(frozen=True)
class _Point:
    """Where the derivative is taken."""

    directions: Tensor
    vertex: Tensor
    inverse: Tensor
    weights: Ragged


class _Derivative(torch.autograd.Function):
    """With a = the gradient of p, projected onto the directions in which p can move, and x = C^T a: z gets
    M x, the system's matrix C^T C + lambda I gets -(M x) y^T.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, codebook: Tensor, regularization: Tensor, point: _Point) -> Tensor:
        ctx.save_for_backward(codebook, regularization, point.directions, point.vertex, point.inverse)
        ctx.support = point.weights.support
        return point.weights.values

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        codebook, regularization, directions, vertex, inverse = ctx.saved_tensors
        pull = ctx.support.centered(gradient)
        to_z = ctx.support.combine(pull, codebook) @ inverse
        to_system = to_z.T @ directions
        to_codebook = ctx.support.spread(pull, directions).index_add_(0, vertex, to_z, alpha=-1)
        to_codebook.addmm_(codebook, to_system + to_system.T, alpha=-1)
        return to_z, to_codebook, -to_system.trace().to(regularization.dtype), None


def _above_bound(scores: Tensor) -> Tensor:
    """By how much scores (n, width), which are overwritten, exceed nearly the threshold of the projection.

    The bound is the threshold of some of the scores, the maxima of runs, and so never above that of all. It
    comes from below by Newton's method, where every step is exact once the entries above it are the right
    ones; scores are held below 0, so that this works at any scale.
    """
    maxima = scores.view(len(scores), scores.shape[1] // MAXIMA, MAXIMA).amax(1)
    top = maxima.amax(1, keepdim=True)
    maxima.sub_(top)
    bound = torch.full_like(top, -1)
    for _ in range(BOUND_STEPS):
        above = torch.sub(maxima, bound).clamp_(min=0)
        bound += (above.sum(1, keepdim=True) - 1) / above.sign_().sum(1, keepdim=True)
    return scores.sub_(top).sub_(bound).clamp_(min=0)


def _positive(numbers: Tensor, size: int) -> Ragged:
    """The positive ones of non-negative numbers (n, width), of which the first `size` columns count.

    To look for them is what costs, and there are few: first for 64-bit words of eight flags with one set.
    """
    width = numbers.shape[1]
    flags = numbers.to(torch.bool).view(torch.int64).view(-1)
    words = flags.nonzero().squeeze(1)
    flags = flags.index_select(0, words).view(torch.bool).nonzero().squeeze(1)
    places = (words.index_select(0, flags >> WORD_BITS) << WORD_BITS).add_(flags & (1 << WORD_BITS) - 1)
    starts = torch.searchsorted(places, torch.arange(len(numbers) + 1, device=places.device) * width)
    return Ragged(numbers.view(-1).index_select(0, places), Support(places % width, starts, size))


def _projected(candidates: Ragged) -> Ragged:
    """The numbers of each vector, all that could matter of a larger set, projected onto the simplex."""
    support = candidates.support
    places, width = support.places()
    rows = candidates.values.new_zeros(len(support.counts) * width).scatter_(0, places, candidates.values)
    values = _from_below(rows.view(-1, width)).view(-1).index_select(0, places)
    kept = values.nonzero().squeeze(1)
    starts = torch.searchsorted(kept, support.starts)
    codes = support.codes.index_select(0, kept)
    return Ragged(values.index_select(0, kept), Support(codes, starts, support.size))


def _from_below(rows: Tensor) -> Tensor:
    """max(rows - t, 0) with the t >= 0 of the projection, by Newton's method."""
    threshold = rows.new_zeros(len(rows), 1)
    precision = 4 * rows.shape[1] * torch.finfo(rows.dtype).eps
    above = rows
    for _ in range(STEPS):
        excess = above.sum(1, keepdim=True) - 1
        if not bool((excess > precision).any()):
            break
        threshold += excess / above.sign().sum(1, keepdim=True)
        above = (rows - threshold).clamp_(min=0)
    return above
