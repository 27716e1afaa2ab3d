"""DiVeQ along a curve through all code vectors (SF-DiVeQ): training reaches every one of them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from barycode.quantizers.core.assignment import SparseAssignment
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.nearest.directional import DirectionalVectorQuantizer
from barycode.simplex.nearest import nearest


class SpaceFillingVectorQuantizer(DirectionalVectorQuantizer):
    """In training q is on a segment c_i c_(i+1): SF-DiVeQ (Vali et al. 2025, arXiv:2509.26469).

    With a draw t_i in [0, 1] for each segment, k is the nearest of the points (1 - t_i) c_i + t_i c_(i+1),
    and q = z + (1 - t_k) error(c_k) + t_k error(c_(k+1)) with the errors of `DirectionalVectorQuantizer`.
    `weights` has these two coordinates, `indices` the heavier. The order of the codebook is that of the
    curve: start it where neighbours lie close, and do not revive.

    Evaluation, `encode` and `decode` take the nearest code vector: log2 K bits. (The authors' code projects
    onto the curve, which no finite number of bits describes.)
    """

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        if not self.training or self.codebook_size == 1:
            return super().quantize(z)
        codebook = self.codebook.vectors.to(z.dtype)
        share = torch.rand(self.codebook_size - 1, dtype=z.dtype, device=z.device)
        segments = nearest(z, torch.lerp(codebook[:-1], codebook[1:], share[:, None]))
        second = share[segments]
        ends = torch.stack([segments, segments + 1], -1)
        values = torch.stack([1 - second, second], -1)
        errors = self.error(z.unsqueeze(-2), functional.embedding(ends, codebook))
        weights = SparseAssignment(ends, values, self.codebook_size)
        quantized = z + (values.unsqueeze(-1) * errors).sum(-2)
        return Quantized(quantized, weights.vertex(), z.new_zeros(()), weights)
