"""Steps that alternate between the quadratic of the program and the simplex.

Gradient steps stall where a codebook is long in some directions and flat in others, as one is that spans the
patches of pictures. Here the matrix of the quadratic, d x d and inverted once, takes care of that: ADMM as
over-relaxed Douglas-Rachford splitting (Eckstein and Bertsekas 1992).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.simplex.approximate_projection import project_approximately

MOST_STEPS = 24
SETTLED = 5e-4  # weights that differ by less from their projection, root mean square, are there
RELAXATION = 1.6
LEAST_PENALTY = 0.03


@dataclass(frozen=True)
class DouglasRachford:
    """A codebook C of radius 1 in float32 (K, d), its transpose, lambda, and the penalty rho.

    pulled: C M with M = (C^T C + (lambda + rho) I)^-1.
    """

    codes: Tensor
    transposed: Tensor
    regularization: float
    penalty: float
    pulled: Tensor

    @classmethod
    def of(cls, codes: Float[Tensor, "k d"], regularization: float) -> DouglasRachford:
        penalty = max(math.sqrt(regularization), LEAST_PENALTY)
        square = codes.T.double() @ codes.double()
        square.diagonal().add_(regularization + penalty)
        pulled = codes @ torch.linalg.inv(square).to(codes)
        return cls(codes, codes.T.contiguous(), regularization, penalty, pulled)

    def steps(self, z: Float[Tensor, "n d"], vertex: Int64[Tensor, " n"]) -> Float[Tensor, "k n"]:
        """Weights near the optimum after some steps from the vertices; their sums are about one.

        Each step: q = x on the simplex, s = 2 q - x, p the minimiser of
        |z - p C|^2 + lambda |p - p~|^2 + rho |p - s|^2, and x moves by p - q. With a = lambda + rho,
        p = h + (rho / a) (s - C M C^T s), where h = C M (z - (lambda / a) p~ C) + (lambda / a) p~ stays.
        """
        total = self.regularization + self.penalty
        keep, stay = self.penalty / total, self.regularization / total
        held = self.pulled @ (z - stay * self.codes[vertex]).T
        held.scatter_add_(0, vertex[None], torch.full_like(held[:1], stay))
        x = torch.zeros_like(held).scatter_(0, vertex[None], 1.0)
        q, reflected, spare = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x)
        for _ in range(MOST_STEPS):
            project_approximately(q.copy_(x), spare)
            torch.sub(q, x, out=reflected).add_(q)
            moved = torch.add(held, reflected, alpha=keep, out=spare)
            moved.addmm_(self.pulled, self.transposed @ reflected, alpha=-keep).sub_(q)
            x.add_(moved, alpha=RELAXATION)
            if float(torch.linalg.vector_norm(moved)) < SETTLED * math.sqrt(moved.numel()):
                break
        project_approximately(x, spare)
        return x
