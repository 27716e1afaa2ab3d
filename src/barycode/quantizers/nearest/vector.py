"""Vector quantization: the vertex of the nearest code vector."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor

from barycode.quantizers.core.arguments import nonnegative
from barycode.quantizers.core.assignment import OneHotAssignment
from barycode.quantizers.core.estimators import Estimator, checked_estimator, straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import SingleCodebook, mean_squared_error


class VectorQuantizer(SingleCodebook):
    """q = c_k with k = argmin_j ||z - c_j||^2 (van den Oord et al. 2017).

    loss = codebook_loss + commitment_weight * commitment_loss, where
    codebook_loss = mean (c_k - sg[z])^2 moves only the codebook, and
    commitment_loss = mean (z - sg[c_k])^2 moves only z. A frozen codebook has no codebook_loss.
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        commitment_weight: float = 0.25,
        estimator: Estimator = straight_through,
    ) -> None:
        super().__init__(codebook_size, dim)
        self.commitment_weight = nonnegative("commitment_weight", commitment_weight)
        self.estimator = checked_estimator(estimator)

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        return self.quantize_to(self.encode_vectors(z), z)

    def learns_by_gradient(self) -> bool:
        """Whether the code vectors want a codebook_loss."""
        return self.codebook.vectors.requires_grad

    def quantize_to(self, indices: Int64[Tensor, "*batch"], z: Float[Tensor, "*batch d"]) -> Quantized:
        """Quantize z to the code vectors that were chosen for it."""
        codes = self.decode_indices(indices).to(z.dtype)
        losses = {"commitment_loss": mean_squared_error(z, codes.detach())}
        loss = self.commitment_weight * losses["commitment_loss"]
        if self.learns_by_gradient():
            losses["codebook_loss"] = mean_squared_error(codes, z.detach())
            loss = loss + losses["codebook_loss"]
        return Quantized(
            quantized=self.estimator(z, codes),
            indices=indices,
            loss=loss,
            weights=OneHotAssignment(indices, self.codebook_size),
            losses=losses,
        )
