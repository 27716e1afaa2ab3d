"""Product quantization: the vector is cut into groups of dimensions, each with a quantizer of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.codebook.statistics import CodebookStatistics
from barycode.quantizers.core.arguments import whole
from barycode.quantizers.core.assignment import Assignment, ProductAssignment
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Assigned, Initialization, Quantizer, made_quantizer
from barycode.quantizers.nearest.vector import VectorQuantizer


class ProductQuantizer(Quantizer):
    """q = (q^1, ..., q^m): quantizer i sees the i-th of m equal slices of z.

    `quantizer(K, d / m)` makes each of them, so groups compose with every quantizer:
    `ProductQuantizer(1024, 64, groups=4, quantizer=SoftToHardQuantizer)`.
    Indices have the groups as their last dimension; losses are means over the groups.
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        groups: int = 2,
        quantizer: Callable[[int, int], Quantizer] = VectorQuantizer,
    ) -> None:
        super().__init__(codebook_size, dim)
        if dim % whole("groups", groups):
            raise InvalidInputError(f"{dim} dimensions cannot be cut into {groups} equal groups.")
        self.groups = nn.ModuleList(
            made_quantizer(quantizer, codebook_size, dim // groups) for _ in range(groups)
        )

        if any(getattr(group, "dropout", None) is not None for group in self.groups):
            raise InvalidInputError("Groups cannot drop stages: each would draw a number of its own.")

    @property
    def codebooks(self) -> Sequence[Codebook]:
        return tuple(codebook for group in self._groups() for codebook in group.codebooks)

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        results = [group.quantize(part) for group, part in self._slices(z)]
        return Quantized(
            quantized=torch.cat([result.quantized for result in results], -1),
            indices=torch.stack([result.indices for result in results], -1),
            loss=torch.stack([result.loss for result in results]).mean(),
            weights=ProductAssignment(tuple(result.weights for result in results)),
            losses={
                name: torch.stack([result.losses[name] for result in results]).mean()
                for name in results[0].losses
            },
        )

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch_parts groups"]:
        return torch.stack([group.encode_vectors(part) for group, part in self._slices(z)], -1)

    def decode_indices(self, indices: Int64[Tensor, "*batch_parts groups"]) -> Float[Tensor, "*batch d"]:
        return torch.cat([group.decode_indices(part) for group, part in self._groups_of(indices)], -1)

    def parts(self, indices: Int64[Tensor, "*batch_parts groups"]) -> tuple[Int64[Tensor, "*batch"], ...]:
        return tuple(part for group, found in self._groups_of(indices) for part in group.parts(found))

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch_parts groups"]
    ) -> tuple[Assigned, ...]:
        parts = zip(self._slices(z), indices.unbind(-1), strict=True)
        return tuple(entry for (group, part), found in parts for entry in group.assigned(part, found))

    def gather_statistics(
        self,
        z: Float[Tensor, "*batch d"],
        indices: Int64[Tensor, "*batch_parts groups"],
        weights: Assignment | None = None,
    ) -> tuple[CodebookStatistics, ...]:
        known = weights.parts if isinstance(weights, ProductAssignment) else [None] * len(self.groups)
        parts = zip(self._slices(z), indices.unbind(-1), known, strict=True)
        return tuple(
            entry
            for (group, part), found, own in parts
            for entry in group.gather_statistics(part, found, own)
        )

    def usage(
        self, indices: Int64[Tensor, "*batch_parts groups"], weights: Assignment
    ) -> tuple[Float[Tensor, " k"], ...]:
        parts = zip(self._groups_of(indices), cast(ProductAssignment, weights).parts, strict=True)
        return tuple(entry for (group, found), own in parts for entry in group.usage(found, own))

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        for group, part in self._slices(z):
            group.initialize_from(part, method)

    def _groups(self) -> Iterator[Quantizer]:
        return (cast(Quantizer, group) for group in self.groups)

    def _groups_of(self, indices: Tensor) -> Iterator[tuple[Quantizer, Tensor]]:
        """Each group and its indices."""
        if indices.shape[-1:] != (len(self.groups),):
            raise InvalidInputError(
                f"The indices have shape {tuple(indices.shape)}, expected (..., {len(self.groups)})."
            )
        return zip(self._groups(), indices.unbind(-1), strict=True)

    def _slices(self, z: Tensor) -> Iterator[tuple[Quantizer, Tensor]]:
        return zip(self._groups(), z.chunk(len(self.groups), -1), strict=True)
