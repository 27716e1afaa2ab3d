"""Vector quantization whose code vectors are a learned linear map of a fixed random basis (SimVQ)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.core.estimators import Estimator, straight_through
from barycode.quantizers.core.quantizer import Assigned, Initialization
from barycode.quantizers.nearest.vector import VectorQuantizer


class SimVectorQuantizer(VectorQuantizer):
    """q = e_k W with k = argmin_j ||z - e_j W||^2: SimVQ (Zhu et al. 2024, arXiv:2411.02038).

    The basis e, K rows drawn from N(0, I / d), never moves; W, d x d, is all that is learned, so a gradient
    that reaches one code vector turns the space of all of them, and none is left behind. Loss as that of
    `VectorQuantizer`. There is nothing to average or to revive: `codebooks` is empty. `initialize` chooses
    W so that the code vectors have the second moments of the latents, whatever the method.
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        commitment_weight: float = 0.25,
        estimator: Estimator = straight_through,
    ) -> None:
        super().__init__(codebook_size, dim, commitment_weight=commitment_weight, estimator=estimator)
        self.codebook.requires_grad_(False)
        with torch.no_grad():
            self.codebook.vectors.mul_(dim**-0.5)
        self.weight = nn.Parameter(torch.eye(dim))

    def vectors(self) -> Float[Tensor, "k d"]:
        """e W, the code vectors."""
        return self.codebook.vectors.detach() @ self.weight  # whatever `requires_grad_` says

    def learns_by_gradient(self) -> bool:
        return self.weight.requires_grad

    @property
    def codebooks(self) -> Sequence[Codebook]:
        return ()

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch"]
    ) -> tuple[Assigned, ...]:
        return ()

    @torch.no_grad()
    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        """W = (E^T E / K)^(-1/2) (Z^T Z / N)^(1/2)."""
        basis, latents = (_second_moments(x.reshape(-1, self.dim)) for x in (self.codebook.vectors, z))
        self.weight.copy_(_symmetric_power(basis, -0.5) @ _symmetric_power(latents, 0.5))


def _second_moments(rows: Tensor) -> Tensor:
    rows = rows.double()
    return rows.T @ rows / max(1, len(rows))


def _symmetric_power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of a positive semidefinite matrix; directions in which it vanishes stay 0."""
    values, vectors = torch.linalg.eigh(matrix)
    floor = values.amax() * len(values) * torch.finfo(values.dtype).eps
    powers = torch.where(values > floor, values.clamp_min(floor).pow(exponent), 0)
    return (vectors * powers) @ vectors.T
