"""Residual binary spherical quantization: signs of a direction, and of what they left over (residual BSQ)."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from barycode.quantizers.core.arguments import whole
from barycode.quantizers.core.sphere import on_sphere
from barycode.quantizers.scalar.lookup_free import LookupFreeQuantizer
from barycode.quantizers.scalar.residual_lookup_free import STAGES, ResidualLookupFreeQuantizer


class ResidualBinarySphericalQuantizer(ResidualLookupFreeQuantizer):
    """q = sum over the stages s = 0, 1, ... of 2^-s sign(r_s) / sqrt(d), r_0 = z / |z|.

    The first stage is that of `BinarySphericalQuantizer` (Zhao et al. 2024, arXiv:2406.07548), a point of the
    unit sphere; the others halve the cells around it, and leave the sphere. vector-quantize-pytorch has the
    same points as ResidualLFQ(spherical=True), for latents that are on the sphere already. Stages, losses and
    indices are as those of `ResidualLookupFreeQuantizer`; the gradient reaches z through z / |z|.
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        stages: int = STAGES,
        quantizer: Callable[..., LookupFreeQuantizer] = LookupFreeQuantizer,
    ) -> None:
        scale = whole("dim", dim) ** -0.5
        super().__init__(codebook_size, dim, stages=stages, scale=scale, quantizer=quantizer)

    def bounded(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """z / |z|."""
        return on_sphere(z)
