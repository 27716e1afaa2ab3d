"""First steps towards the optimum of the program of Soft Convex Quantization.

One or two dozen cheap steps find nearly all of a support, and the active-set method starts from it. So they
may be float32 and need not be exact: nothing but time depends on them. They alternate between the quadratic
and the simplex (ADMM as over-relaxed Douglas-Rachford splitting, Eckstein and Bertsekas 1992): the matrix of
the quadratic, inverted once as d x d, takes care of codebooks that are long in one direction and flat in
another, on which gradient steps stall. Scores are held as (K, n), so that every sum over the codebook runs
along contiguous rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

STEPS = 24
RELAXATION = 1.6
LEAST_PENALTY = 0.03
SETTLED = 5e-4  # weights of a block that differ by less from their projection, root mean square, are there
RELEVANT = 1e-3  # of a vector's largest weight; less is taken to be on its way to zero
ENTRIES = 2**17  # of a (K, n) block: half a megabyte, which stays in the cache of one core
MAXIMA = 32  # a threshold starts from that of so many of the scores, each the largest of a run
NEWTON_STEPS = 3
FAR = 1e3  # numbers beyond are taken to be that: vectors in the codebook's radius, lambda in its square


@dataclass(frozen=True)
class Approach:
    """A codebook C scaled to radius 1, in float32 (K, d), its transpose, and lambda in the same units.

    penalty: rho of the splitting. inverse: (C^T C + (lambda + rho) I)^-1, (d, d).
    """

    codes: Tensor
    transposed: Tensor
    scale: float
    regularization: float
    penalty: float
    inverse: Tensor

    @classmethod
    def of(cls, codes: Float[Tensor, "k d"], regularization: float) -> Approach:
        """For code vectors around their mean."""
        scale = max(float(codes.square().sum(1).amax().sqrt()), torch.finfo(torch.float32).tiny)
        small = (codes / scale).float()
        scaled = min(regularization / scale**2, FAR)
        penalty = max(math.sqrt(scaled), LEAST_PENALTY)
        square = small.T.double() @ small.double()
        square.diagonal().add_(scaled + penalty)
        return cls(small, small.T.contiguous(), scale, scaled, penalty, torch.linalg.inv(square).float())

    def start(
        self, z: Float[Tensor, "n d"], vertex: Int64[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n s"], Int64[Tensor, "n s"]]:
        """Positive weights near the optimum and their indices; spare places weigh 0."""
        rows = max(16, ENTRIES // len(self.codes))
        scaled = (z / self.scale).clamp(-FAR, FAR).float()
        parts = zip(scaled.split(rows), vertex.split(rows), strict=True)
        return _sparse(torch.cat([self._alternate(*part).T for part in parts]).contiguous())

    def _alternate(self, z: Tensor, vertex: Tensor) -> Tensor:
        """Weights (K, n) after some steps from the vertices (n,); their sums are about one.

        Each: q = x on the simplex, s = 2 q - x, p = argmin |z - p C|^2 + lambda |p - p~|^2 + rho |p - s|^2,
        x moves by p - q. With a = lambda + rho and M the inverse, p = h + (rho / a) (s - C M C^T s), where
        h = C M (z - (lambda / a) C^T p~) + (lambda / a) p~ never changes.
        """
        total = self.regularization + self.penalty
        keep, stay = self.penalty / total, self.regularization / total
        pulled = self.codes @ self.inverse
        held = pulled @ (z - stay * self.codes[vertex]).T
        held.scatter_add_(0, vertex[None], torch.full_like(held[:1], stay))
        x = torch.zeros_like(held).scatter_(0, vertex[None], 1.0)
        q, reflected, spare = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x)
        for _ in range(STEPS):
            _project(q.copy_(x), spare)
            torch.sub(q, x, out=reflected).add_(q)
            moved = torch.add(held, reflected, alpha=keep, out=spare)
            moved.addmm_(pulled, self.transposed @ reflected, alpha=-keep).sub_(q)
            x.add_(moved, alpha=RELAXATION)
            if float(torch.linalg.vector_norm(moved)) < SETTLED * math.sqrt(moved.numel()):
                break
        _project(x, spare)
        return x


def _project(scores: Tensor, spare: Tensor) -> None:
    """Move columns to the simplex, or nearly: to max(s - t, 0) with t from below, by Newton's method.

    The threshold of some entries is never above that of all, and that of the maxima of runs is cheap.
    """
    maxima = scores
    if len(scores) > MAXIMA:
        count = len(scores) // MAXIMA
        maxima = scores[: count * MAXIMA].view(count, MAXIMA, scores.shape[1]).amax(0)
    threshold = maxima.amax(0) - 1
    for _ in range(NEWTON_STEPS):
        above = torch.sub(maxima, threshold).clamp_(min=0)
        threshold += (above.sum(0) - 1) / above.sign_().sum(0)
    scores.sub_(threshold).clamp_(min=0)
    excess = (scores.sum(0) - 1) / torch.sign(scores, out=spare).sum(0)
    scores.sub_(excess.clamp_(min=0)).clamp_(min=0)


def _sparse(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The relevant weights of rows (n, K), with a sum of one, and their indices: both (n, s)."""
    relevant = weights > RELEVANT * weights.amax(1, keepdim=True)
    rows, columns = relevant.nonzero(as_tuple=True)
    counts = relevant.sum(1)
    place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    width = int(counts.max()) if len(counts) else 1
    values = weights.new_zeros(len(weights), width)
    indices = rows.new_zeros(len(weights), width)
    values[rows, place] = weights[rows, columns]
    indices[rows, place] = columns
    return values / values.sum(1, keepdim=True), indices
