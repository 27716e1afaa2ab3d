"""Residual finite scalar quantization: every stage divides the cells of the one before (residual FSQ)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.core.arguments import first_stages, stage_indices, whole
from barycode.quantizers.core.assignment import OneHotAssignment, ProductAssignment
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Assigned, Initialization, Quantizer
from barycode.quantizers.scalar.finite_scalar import checked_levels, even_levels

STAGES = 2
MOST_CELLS = 2**24  # of a coordinate: numbers in float32 that are whole


class ResidualFiniteScalarQuantizer(Quantizer):
    """q_i = sum over the stages s = 0, 1, ... of L_i^-s u(d_is), u(d) = (2 d - L_i + 1) / (L_i - 1).

    Stage s rounds what the stages before left of x_i = b_i tanh(z_i / b_i), b_i = L_i / (L_i - 1), to the
    grid of L_i even levels from -1 to 1, shrunk by L_i^s: finite scalar quantization (Mentzer et al. 2023)
    inside of residual quantization, as vector-quantize-pytorch's ResidualFSQ has it. The cells of a stage are
    exactly the range of the next, so the d_is are the digits of one number: the cell of x_i among L_i^stages
    equal ones. Any number of first stages decodes: `decode(encode(z, stages=1))`.

    Indices (..., stages); K of every stage is the product of the levels, `dim` their number, and the last
    coordinate counts fastest. Nothing is learned: `codebooks` is empty, the loss is 0, and gradients go
    straight through the rounding.
    """

    def __init__(
        self, codebook_size: int, dim: int, *, stages: int = STAGES, levels: Sequence[int] | None = None
    ) -> None:
        super().__init__(codebook_size, dim)
        self.levels = even_levels(codebook_size, dim) if levels is None else checked_levels(levels)
        self.stage_count = whole("stages", stages)
        if len(self.levels) != dim or prod(self.levels) != codebook_size:
            raise InvalidInputError(
                f"The levels {self.levels} do not make a grid of {codebook_size} points in {dim} dimensions."
            )
        if max(self.levels) ** stages > MOST_CELLS:
            raise InvalidInputError(
                f"{stages} stages of {max(self.levels)} levels are more than {MOST_CELLS} cells, which "
                "float32 does not tell apart: take fewer stages or levels."
            )

    @property
    def codebooks(self) -> Sequence[Codebook]:
        return ()

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        bounded = self._bounded(z)
        indices = self._digits(bounded.detach(), self.stage_count)
        points = self.decode_indices(indices).to(z.dtype)
        parts = tuple(OneHotAssignment(part, self.codebook_size) for part in indices.unbind(-1))
        scale = self._levels(z).clamp_min(2)
        through = (bounded - bounded.detach()) * (scale / (scale - 1))
        return Quantized(points + through, indices, z.new_zeros(()), ProductAssignment(parts))

    @torch.no_grad()
    def encode(
        self, z: Float[Tensor, "*batch d"], stages: int | None = None
    ) -> Int64[Tensor, "*batch stages"]:
        """The indices (..., stages) of all the stages, or of the first ones alone, int64."""
        count = first_stages(stages, self.stage_count)
        return self._digits(self._bounded(self.checked(z)), count)

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch stages"]:
        return self._digits(self._bounded(z), self.stage_count)

    def decode_indices(self, indices: Int64[Tensor, "*batch stages"]) -> Float[Tensor, "*batch d"]:
        stage_indices(indices, self.stage_count)
        levels, places = self._levels(indices), self._places(indices)
        digits = indices.unsqueeze(-1) // places % levels
        points = (2 * digits - levels + 1) / (levels - 1).clamp_min(1)
        powers = torch.arange(indices.shape[-1], device=indices.device)
        return (points / levels ** powers[:, None]).sum(-2)

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch stages"]
    ) -> tuple[Assigned, ...]:
        return ()

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        """Do nothing: a grid has no codebook to start."""

    def _bounded(self, z: Tensor) -> Tensor:
        """x / b, from -1 to 1; in float32 at least."""
        levels = self._levels(z).clamp_min(2)
        return torch.tanh(z * ((levels - 1) / levels))

    def _digits(self, bounded: Tensor, stages: int) -> Tensor:
        """The indices of the first stages."""
        levels = self._levels(bounded)
        cells = levels**self.stage_count
        cell = ((bounded + 1) / 2 * cells).long().clamp(max=cells - 1)
        powers = torch.arange(self.stage_count - 1, self.stage_count - 1 - stages, -1, device=cell.device)
        digits = cell.unsqueeze(-2) // levels ** powers[:, None] % levels
        return (digits * self._places(bounded)).sum(-1)

    def _levels(self, like: Tensor) -> Tensor:
        return torch.tensor(self.levels, device=like.device)

    def _places(self, like: Tensor) -> Tensor:
        """What a digit of each coordinate is worth."""
        return torch.tensor([prod(self.levels[i + 1 :]) for i in range(self.dim)], device=like.device)
