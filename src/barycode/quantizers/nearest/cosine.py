"""Vector quantization by direction: latents and code vectors lie on the unit sphere."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor

from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Assigned, Initialization
from barycode.quantizers.core.sphere import on_sphere
from barycode.quantizers.nearest.vector import VectorQuantizer
from barycode.simplex.nearest import nearest


class CosineVectorQuantizer(VectorQuantizer):
    """q = c_k / |c_k| with k = argmax_j cos(z, c_j) (Yu et al. 2021, arXiv:2110.04627).

    That is the nearest point to z / |z| on the sphere, and the losses are those of `VectorQuantizer` between
    the two; the length of z is lost, and no gradient along it reaches z. Moving averages and k-means see
    z / |z|: code vectors are stored as they come, and count as directions.
    """

    def vectors(self) -> Float[Tensor, "k d"]:
        """The directions c / |c|."""
        return on_sphere(self.codebook.vectors)

    def quantize_to(self, indices: Int64[Tensor, "*batch"], z: Float[Tensor, "*batch d"]) -> Quantized:
        return super().quantize_to(indices, on_sphere(z))

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch"]:
        return nearest(on_sphere(z.detach()), self.vectors())

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch"]
    ) -> tuple[Assigned, ...]:
        return ((self.codebook, on_sphere(z), indices),)

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        super().initialize_from(on_sphere(z), method)
