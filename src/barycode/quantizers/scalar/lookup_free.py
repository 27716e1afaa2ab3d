"""Lookup-free quantization: a code is the signs of the coordinates (LFQ)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.core.arguments import nonnegative, positive
from barycode.quantizers.core.assignment import OneHotAssignment
from barycode.quantizers.core.estimators import straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Assigned, Initialization, Quantizer, mean_squared_error


class LookupFreeQuantizer(Quantizer):
    """q = scale * sign(z), 0 being negative: LFQ (Yu et al. 2023, arXiv:2310.05737). K = 2^d.

    The first coordinate is the highest bit of the index. The gradient goes straight through. With the soft
    assignment p(c) = softmax(-inverse_temperature * ||z - c||^2) over all K corners,

        loss = entropy_weight * (vector_entropy - diversity_weight * batch_entropy)
               + commitment_weight * commitment_loss,

    vector_entropy = mean H(p), that codes are sure; batch_entropy = H(mean p), that all are used; in nats.
    p factorises over the coordinates, P(+) = sigmoid(4 * inverse_temperature * scale * z_i), so the former
    costs d terms and not K; the latter is the sum over the coordinates, an upper bound that is exact where
    they are independent (Zhao et al. 2024, arXiv:2406.07548). Nothing is learned: `codebooks` is empty.
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        scale: float = 1.0,
        inverse_temperature: float = 100.0,
        entropy_weight: float = 0.1,
        diversity_weight: float = 1.0,
        commitment_weight: float = 0.25,
    ) -> None:
        super().__init__(codebook_size, dim)
        if codebook_size != 2**dim or dim > 62:
            raise InvalidInputError(
                f"{dim} signs make a codebook of {2**dim}, not of {codebook_size}. "
                "ProjectedQuantizer takes vectors of any dimension to log2 K of them."
            )
        self.scale = positive("scale", scale)
        self.inverse_temperature = positive("inverse_temperature", inverse_temperature)
        self.entropy_weight = nonnegative("entropy_weight", entropy_weight)
        self.diversity_weight = nonnegative("diversity_weight", diversity_weight)
        self.commitment_weight = nonnegative("commitment_weight", commitment_weight)

    @property
    def codebooks(self) -> Sequence[Codebook]:
        return ()

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        indices = self.encode_vectors(z)
        bounded = self.bounded(z)
        codes = self.decode_indices(indices).to(z.dtype)
        vector_entropy, batch_entropy = self._entropies(bounded)
        losses = {
            "vector_entropy": vector_entropy,
            "batch_entropy": batch_entropy,
            "commitment_loss": mean_squared_error(bounded, codes),
        }
        loss = self.entropy_weight * (vector_entropy - self.diversity_weight * batch_entropy)
        return Quantized(
            straight_through(bounded, codes),
            indices,
            loss + self.commitment_weight * losses["commitment_loss"],
            OneHotAssignment(indices, self.codebook_size),
            losses,
        )

    def bounded(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """What the corners are compared with: z itself."""
        return z

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch"]:
        return ((z > 0).long() * self._places(z.device)).sum(-1)

    def decode_indices(self, indices: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        bits = indices.unsqueeze(-1) // self._places(indices.device) % 2
        return self.scale * (2 * bits - 1).to(torch.get_default_dtype())

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch"]
    ) -> tuple[Assigned, ...]:
        return ()

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        """Do nothing: signs have no codebook to start."""

    def _places(self, device: torch.device) -> Tensor:
        """What a sign of each coordinate is worth; by numbers, since ONNX shifts no signed ones."""
        return torch.tensor([1 << place for place in reversed(range(self.dim))], device=device)

    def _entropies(self, bounded: Tensor) -> tuple[Tensor, Tensor]:
        """mean H(p), and the sum over the coordinates of H(mean P(+))."""
        logits = (4 * self.inverse_temperature * self.scale * bounded).reshape(-1, self.dim)
        plus = logits.sigmoid()
        count = max(1, len(logits))
        vector_entropy = (functional.softplus(logits) - logits * plus).sum() / count
        tiny = torch.finfo(plus.dtype).tiny
        share = (plus.sum(0) / count).clamp(tiny, 1 - torch.finfo(plus.dtype).eps)
        return vector_entropy, (torch.special.entr(share) + torch.special.entr(1 - share)).sum()
