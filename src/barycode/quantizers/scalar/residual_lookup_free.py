"""Residual lookup-free quantization: signs of what the stages before left over (residual LFQ)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.core.arguments import first_stages, positive, stage_indices, whole
from barycode.quantizers.core.assignment import ProductAssignment
from barycode.quantizers.core.estimators import straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Assigned, Initialization, Quantizer
from barycode.quantizers.scalar.lookup_free import LookupFreeQuantizer

STAGES = 2


class ResidualLookupFreeQuantizer(Quantizer):
    """q = sum over the stages s = 0, 1, ... of a_s sign(r_s), a_s = 2^-s scale, r_s what is left of z.

    Lookup-free quantization (Yu et al. 2023) inside of residual quantization, as vector-quantize-pytorch's
    ResidualLFQ has it: each stage halves the cell of every coordinate, from (-2 scale, 2 scale) on. Any
    number of first stages decodes: `decode(encode(z, stages=1))`.

    `quantizer` makes a stage by (K, d, scale=a_s): `partial(LookupFreeQuantizer, entropy_weight=0.05)`.
    Indices (..., stages), K = 2^d in each. The gradient goes straight through the sum; the losses of the
    stages add up. Nothing is learned: `codebooks` is empty.
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        stages: int = STAGES,
        scale: float = 1.0,
        quantizer: Callable[..., LookupFreeQuantizer] = LookupFreeQuantizer,
    ) -> None:
        super().__init__(codebook_size, dim)
        self.stage_count = whole("stages", stages)
        self.scale = positive("scale", scale)
        sizes = self.codebook_size, self.dim
        self.stages = nn.ModuleList(
            _stage(quantizer, *sizes, self.scale * 2.0**-stage) for stage in range(self.stage_count)
        )

    @property
    def codebooks(self) -> Sequence[Codebook]:
        return ()

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        vectors = self.bounded(z)
        results, total = [], torch.zeros_like(z)
        for stage in self._stages():
            results.append(stage.quantize(vectors - total))
            total = total + stage.decode_indices(results[-1].indices).to(z.dtype)
        losses = {
            name: torch.stack([result.losses[name] for result in results]).sum() for name in results[0].losses
        }
        return Quantized(
            straight_through(vectors, total),
            torch.stack([result.indices for result in results], -1),
            torch.stack([result.loss for result in results]).sum(),
            ProductAssignment(tuple(result.weights for result in results)),
            losses,
        )

    def bounded(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """What the stages quantize: z itself."""
        return z

    @torch.no_grad()
    def encode(
        self, z: Float[Tensor, "*batch d"], stages: int | None = None
    ) -> Int64[Tensor, "*batch stages"]:
        """The indices (..., stages) of all the stages, or of the first ones alone, int64."""
        return self.encode_vectors(self.checked(z))[..., : first_stages(stages, self.stage_count)]

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch stages"]:
        vectors = self.bounded(z)
        found, total = [], torch.zeros_like(z)
        for stage in self._stages():
            found.append(stage.encode_vectors(vectors - total))
            total = total + stage.decode_indices(found[-1]).to(z.dtype)
        return torch.stack(found, -1)

    def decode_indices(self, indices: Int64[Tensor, "*batch stages"]) -> Float[Tensor, "*batch d"]:
        parts = stage_indices(indices, self.stage_count)
        pairs = zip(self._stages(), parts, strict=False)
        return torch.stack([stage.decode_indices(part) for stage, part in pairs]).sum(0)

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch stages"]
    ) -> tuple[Assigned, ...]:
        return ()

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        """Do nothing: signs have no codebook to start."""

    def _stages(self) -> Iterator[LookupFreeQuantizer]:
        return (cast(LookupFreeQuantizer, stage) for stage in self.stages)


def _stage(
    make: Callable[..., LookupFreeQuantizer], size: int, dim: int, scale: float
) -> LookupFreeQuantizer:
    try:
        return make(size, dim, scale=scale)
    except TypeError as error:
        raise InvalidInputError(
            f"`quantizer` makes a stage by (K, d, scale=...), such as LookupFreeQuantizer, not {make!r}."
        ) from error
