"""Vector quantization whose code vectors share an affine map, so that unused ones move along."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.quantizers.core.arguments import positive
from barycode.quantizers.core.quantizer import Assigned, Initialization
from barycode.quantizers.nearest.vector import VectorQuantizer

SMALLEST_SCALE = 1e-4


class AffineVectorQuantizer(VectorQuantizer):
    """q = c_k with c_k = s * e_k + b, s = 1 + rate * a: affine reparametrisation (Huh et al. 2023).

    e_k are the rows of `codebook`; a and b = rate * (offset) in R^d are shared by all, so a gradient that
    reaches one code vector moves every other with it and the codebook follows the latents as a whole. `rate`
    multiplies their learning rate. Distances are those of `vectors()`, the mapped code vectors.
    """

    def __init__(
        self, codebook_size: int, dim: int, *, rate: float = 1.0, commitment_weight: float = 0.25
    ) -> None:
        super().__init__(codebook_size, dim, commitment_weight=commitment_weight)
        self.rate = positive("rate", rate)
        self.scale = nn.Parameter(torch.zeros(dim))
        self.offset = nn.Parameter(torch.zeros(dim))

    def vectors(self) -> Float[Tensor, "k d"]:
        """The code vectors c_k that latents are compared with, differentiable in all three parameters."""
        return self.codebook.vectors * self._scale() + self.rate * self.offset

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch"]
    ) -> tuple[Assigned, ...]:
        return ((self.codebook, self.to_codebook(z), indices),)

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        super().initialize_from(self.to_codebook(z), method)

    def _scale(self) -> Tensor:
        return (1 + self.rate * self.scale).clamp_min(SMALLEST_SCALE)

    def to_codebook(self, z: Tensor) -> Tensor:
        """Latents in the coordinates of `codebook`."""
        return ((z - self.rate * self.offset) / self._scale()).detach()
