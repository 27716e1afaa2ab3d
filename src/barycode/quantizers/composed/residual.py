"""Residual vector quantization: each stage quantizes what the stages before it left over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.core.assignment import ProductAssignment
from barycode.quantizers.core.estimators import Estimator, checked_estimator, straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Assigned, Initialization, Quantizer
from barycode.quantizers.nearest.vector import VectorQuantizer


class ResidualQuantizer(Quantizer):
    """q = c^1 + ... + c^m, where c^i is the code vector of stage i nearest to z - c^1 - ... - c^(i-1).

    Each stage has its own codebook of K vectors; indices (..., stages), of which any number of the first ones
    decodes: `decode(encode(z)[..., :2])`. The gradient passes the whole sum at once by the estimator; the
    losses of the stages add up (Lee et al. 2022, eq. 7).
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        stages: int = 4,
        commitment_weight: float = 0.25,
        estimator: Estimator = straight_through,
    ) -> None:
        super().__init__(codebook_size, dim)
        if stages < 1:
            raise InvalidInputError(f"A residual quantizer needs at least one stage, not {stages}.")
        self.stages = nn.ModuleList(
            VectorQuantizer(codebook_size, dim, commitment_weight=commitment_weight) for _ in range(stages)
        )
        self.estimator = checked_estimator(estimator)

    @property
    def codebooks(self) -> Sequence[Codebook]:
        return tuple(stage.codebook for stage in self._stages())

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        steps = list(self._walk(z))
        results = [stage.quantize_to(indices, residual) for stage, residual, indices in steps]
        indices = torch.stack([indices for _, _, indices in steps], -1)
        return Quantized(
            quantized=self.estimator(z, self.decode_indices(indices).to(z.dtype)),
            indices=indices,
            loss=torch.stack([result.loss for result in results]).sum(),
            weights=ProductAssignment(tuple(result.weights for result in results)),
            losses={
                name: torch.stack([result.losses[name] for result in results]).sum()
                for name in results[0].losses
            },
        )

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch stages"]:
        return torch.stack([indices for _, _, indices in self._walk(z)], -1)

    def decode_indices(self, indices: Int64[Tensor, "*batch stages"]) -> Float[Tensor, "*batch d"]:
        if indices.ndim == 0 or not 1 <= indices.shape[-1] <= len(self.stages):
            raise InvalidInputError(
                f"The indices have shape {tuple(indices.shape)}, "
                f"expected (..., {len(self.stages)}), or those of the first stages."
            )
        total = torch.zeros_like(self.codebooks[0].vectors[0])
        for stage, part in zip(self._stages(), indices.unbind(-1), strict=False):
            total = total + stage.decode_indices(part)
        return total

    @torch.no_grad()
    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch stages"]
    ) -> tuple[Assigned, ...]:
        found = []
        total = torch.zeros_like(self.codebooks[0].vectors[0])
        for stage, part in zip(self._stages(), indices.unbind(-1), strict=True):
            found.append((stage.codebook, z - total, part))
            total = total + stage.decode_indices(part)
        return tuple(found)

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        residual = z.detach()
        for stage in self._stages():
            stage.initialize_from(residual, method)
            residual = residual - stage.reconstruct(residual)

    def _walk(self, z: Tensor) -> Iterator[tuple[VectorQuantizer, Tensor, Tensor]]:
        """Each stage, the residual it sees, and its indices; sums as `decode_indices` does, bit for bit."""
        total = torch.zeros_like(self.codebooks[0].vectors[0])
        for stage in self._stages():
            residual = z - total.detach()
            indices = stage.encode_vectors(residual)
            yield stage, residual, indices
            total = total + stage.decode_indices(indices)

    def _stages(self) -> Iterator[VectorQuantizer]:
        return (cast(VectorQuantizer, stage) for stage in self.stages)
