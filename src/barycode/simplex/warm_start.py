"""First steps towards the optimum of the program of Soft Convex Quantization.

One or two dozen cheap steps find nearly all of a support, and the active-set method starts from it. So they
may be float32 and need not be exact: nothing but time depends on them. They are projected gradient steps of
the lengths of Barzilai and Borwein (1988), or those of `DouglasRachford` for a codebook on which gradients
stall.
Scores are held as (K, n), so that every sum over the codebook runs along contiguous rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.simplex.approximate_projection import project_approximately
from barycode.simplex.douglas_rachford import DouglasRachford

MOST_STEPS = 24
SETTLED = 5e-3  # a step that moves the weights of a block by less than that, root mean square, is the last
FIRST_LENGTH = 0.5
MOST_LENGTH = 1e3  # a step that rounding makes infinite would leave nothing to compare
RELEVANT = 1e-3  # of a vector's largest weight; less is taken to be on its way to zero
ENTRIES = 2**17  # of a (K, n) block: half a megabyte, which stays in the cache of one core
UNEVEN = 2.0  # a codebook is when its squares spread over fewer than one in so many directions
FAR = 1e3  # numbers beyond are taken to be that: vectors in the codebook's radius, lambda in its square


@dataclass(frozen=True)
class WarmStart:
    """A codebook scaled to radius 1, in float32 (K, d), its transpose, and lambda in the same units.

    splitting: the other kind of steps, for an uneven codebook; None for an even one.
    """

    codes: Tensor
    transposed: Tensor
    scale: float
    regularization: float
    splitting: DouglasRachford | None

    @classmethod
    def of(cls, codes: Float[Tensor, "k d"], regularization: float) -> WarmStart:
        """For code vectors around their mean."""
        scale = max(float(codes.square().sum(1).amax().sqrt()), torch.finfo(torch.float32).tiny)
        small, scaled = (codes / scale).float(), min(regularization / scale**2, FAR)
        square = small.T @ small
        uneven = len(square) * square.square().sum() > UNEVEN * square.trace() ** 2
        splitting = DouglasRachford.of(small, scaled) if uneven else None
        return cls(small, small.T.contiguous(), scale, scaled, splitting)

    def start(
        self, z: Float[Tensor, "n d"], vertex: Int64[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n s"], Int64[Tensor, "n s"]]:
        """Positive weights near the optimum and their indices; spare places weigh 0."""
        rows = max(16, ENTRIES // len(self.codes))
        scaled = (z / self.scale).clamp(-FAR, FAR).float()
        parts = zip(scaled.split(rows), vertex.split(rows), strict=True)
        steps = self._descend if self.splitting is None else self.splitting.steps
        return _sparse(torch.cat([steps(*part).T for part in parts]).contiguous())

    def _descend(self, z: Tensor, vertex: Tensor) -> Tensor:
        """Weights (K, n) after some steps from the vertices (n,); their sums are about one."""
        weights = z.new_zeros(len(self.codes), len(z)).scatter_(0, vertex[None], 1.0)
        moved, spare = torch.empty_like(weights), torch.empty_like(weights)
        error = (z - self.codes[vertex]).T
        length = torch.full_like(error[:1], FIRST_LENGTH)
        for _ in range(MOST_STEPS):
            torch.mm(self.codes, error * length, out=moved)
            moved.addcmul_(weights, 1 - self.regularization * length)
            moved.scatter_add_(0, vertex[None], self.regularization * length)
            project_approximately(moved, spare)
            left = z.T - self.transposed @ moved
            square = weights.sub_(moved).square_().sum(0, keepdim=True)
            curvature = (left - error).square_().sum(0, keepdim=True) + self.regularization * square
            length = torch.where(curvature > 0, square / curvature, length).clamp_(max=MOST_LENGTH)
            weights, moved, error = moved, weights, left
            if float(square.mean()) < SETTLED**2:
                break
        return weights


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
