"""Soft-to-hard vector quantization: a softmax assignment, annealed to the nearest code vector."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.quantizers.core.arguments import nonnegative
from barycode.quantizers.core.assignment import OneHotAssignment
from barycode.quantizers.core.estimators import straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import SingleCodebook
from barycode.quantizers.soft.soft_assignment import SoftAssignment, soft_assign


class SoftToHardQuantizer(SingleCodebook):
    """In training q = phi C, phi = softmax_k(-sigma ||z - c_k||^2); in evaluation the nearest code vector.

    (Agustsson et al. 2017.) Raise sigma with a schedule: `quantizer.anneal_to(schedule.step(gap))`.
    The rate term of the objective takes `weights.total()`; the quantizer itself asks for no loss.
    dim = 1 gives scalar centers.

    With `hard_forward`, training returns the nearest code vector with the gradient of the soft output.
    """

    sigma: Tensor

    def __init__(
        self, codebook_size: int, dim: int, *, sigma: float = 1.0, hard_forward: bool = False
    ) -> None:
        super().__init__(codebook_size, dim)
        self.hard_forward = hard_forward
        self.register_buffer("sigma", torch.ones(()))
        self.anneal_to(sigma)

    def anneal_to(self, sigma: float) -> None:
        """Set sigma, an inverse temperature: at 0 all codes weigh the same, at infinity the nearest wins."""
        self.sigma.fill_(nonnegative("sigma", sigma))

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        indices = self.encode_vectors(z)
        nothing = z.new_zeros(())
        if not self.training:
            codes = straight_through(z, self.decode_indices(indices))
            return Quantized(codes, indices, nothing, OneHotAssignment(indices, self.codebook_size))
        codebook, sigma = self.codebook.vectors.to(z.dtype), self.sigma.to(z.dtype)
        soft, mass = soft_assign(z, codebook, None, sigma)
        weights = SoftAssignment(z, codebook, sigma, mass)
        quantized = straight_through(soft, self.decode_indices(indices)) if self.hard_forward else soft
        return Quantized(quantized, indices, nothing, weights)
