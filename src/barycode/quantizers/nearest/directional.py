"""Vector quantization as z plus an error of the right length and direction (DiVeQ)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.quantizers.core.arguments import nonnegative
from barycode.quantizers.core.assignment import OneHotAssignment
from barycode.quantizers.core.estimators import straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import SingleCodebook
from barycode.quantizers.core.sphere import length, on_sphere


class DirectionalVectorQuantizer(SingleCodebook):
    """q = z + ||c_k - z|| sg[v / |v|], v = c_k - z + noise: DiVeQ (Vali et al. 2025, arXiv:2509.26469).

    k is the nearest code vector, the noise is N(0, noise_variance I). The length of the error is
    differentiable in z and in c_k, its direction is held: one reconstruction loss trains both, and there is
    no other. In training q lies off c_k by the noise alone (0: not at all), and draws from the torch
    generator; in evaluation q = c_k, with the gradient going straight through.
    """

    def __init__(self, codebook_size: int, dim: int, *, noise_variance: float = 1e-3) -> None:
        super().__init__(codebook_size, dim)
        self.noise_variance = nonnegative("noise_variance", noise_variance)

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        indices = self.encode_vectors(z)
        codes = self.decode_indices(indices).to(z.dtype)
        quantized = z + self.error(z, codes) if self.training else straight_through(z, codes)
        weights = OneHotAssignment(indices, self.codebook_size)
        return Quantized(quantized, indices, z.new_zeros(()), weights)

    def error(
        self, z: Float[Tensor, "*batch d"], codes: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch d"]:
        """What leads from z to its code vector, about: differentiable in its length only."""
        difference = codes - z
        noise = math.sqrt(self.noise_variance) * torch.randn_like(difference)
        direction = on_sphere((difference + noise).detach())
        return length(difference) * direction
