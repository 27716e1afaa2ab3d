"""Binary spherical quantization: the signs of a direction, as a point of the sphere (BSQ)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from barycode.quantizers.core.arguments import whole
from barycode.quantizers.core.sphere import on_sphere
from barycode.quantizers.scalar.lookup_free import LookupFreeQuantizer


class BinarySphericalQuantizer(LookupFreeQuantizer):
    """q = sign(u) / sqrt(d) of the direction u = z / |z|: BSQ (Zhao et al. 2024, arXiv:2406.07548). K = 2^d.

    Latents and codes lie on the unit sphere, which bounds the error: ||u - q||^2 < 2 - 2 / sqrt(d). Entropies
    and losses are those of `LookupFreeQuantizer` for u, and the gradient reaches z through u.
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        inverse_temperature: float = 100.0,
        entropy_weight: float = 0.1,
        diversity_weight: float = 1.0,
        commitment_weight: float = 0.25,
    ) -> None:
        super().__init__(
            codebook_size,
            dim,
            scale=whole("dim", dim) ** -0.5,
            inverse_temperature=inverse_temperature,
            entropy_weight=entropy_weight,
            diversity_weight=diversity_weight,
            commitment_weight=commitment_weight,
        )

    def bounded(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """z / |z|."""
        return on_sphere(z)
