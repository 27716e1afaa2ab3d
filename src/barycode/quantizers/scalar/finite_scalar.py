"""Finite scalar quantization: each coordinate is bounded and rounded; the codebook is the grid itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.core.arguments import whole
from barycode.quantizers.core.assignment import OneHotAssignment
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Assigned, Initialization, Quantizer

SLACK = 1e-3  # of the bound beyond the outermost levels, so that they can be reached


class FiniteScalarQuantizer(Quantizer):
    """q_i = round(f_i(z_i)) / floor(L_i / 2), f_i a shifted tanh with L_i levels (Mentzer et al. 2023, FSQ).

    K is the product of the levels; `dim` is their number, three to six in practice: a network maps its
    features to so few channels before and back after. By default the levels are as even as K's factors allow.
    The index of a grid point counts with the last coordinate fastest. Nothing is learned, nothing collapses:
    `codebooks` is empty, the loss is 0, and gradients go straight through the rounding.
    """

    def __init__(self, codebook_size: int, dim: int, *, levels: Sequence[int] | None = None) -> None:
        super().__init__(codebook_size, dim)
        chosen = even_levels(codebook_size, dim) if levels is None else checked_levels(levels)
        if len(chosen) != dim or prod(chosen) != codebook_size:
            raise InvalidInputError(
                f"The levels {chosen} do not make a grid of {codebook_size} points in {dim} dimensions."
            )
        self.levels = chosen  # no buffer: it is neither saved nor ever without a value

    @property
    def codebooks(self) -> Sequence[Codebook]:
        return ()

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        bounded = self._bounded(z)
        steps = bounded.detach().round()
        indices = self._indices(steps)
        points = self.decode_indices(indices).to(z.dtype)
        through = (bounded - bounded.detach()) / self._half(z.device)
        return Quantized(
            points + through, indices, z.new_zeros(()), OneHotAssignment(indices, self.codebook_size)
        )

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch"]:
        return self._indices(self._bounded(z).round())

    def decode_indices(self, indices: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        levels = self._levels(indices.device)
        digits = indices.unsqueeze(-1) // self._places(indices.device) % levels
        return (digits - levels // 2) / self._half(indices.device)

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch"]
    ) -> tuple[Assigned, ...]:
        return ()

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        """Do nothing: a grid has no codebook to start."""

    def _levels(self, device: torch.device) -> Tensor:
        return torch.tensor(self.levels, device=device)

    def _places(self, device: torch.device) -> Tensor:
        """What a digit of each coordinate is worth."""
        return torch.tensor([prod(self.levels[i + 1 :]) for i in range(self.dim)], device=device)

    def _half(self, device: torch.device) -> Tensor:
        """The number of levels below 0, which a point is divided by; 1 where there is none."""
        return (self._levels(device) // 2).clamp_min(1)

    def _bounded(self, z: Tensor) -> Tensor:
        """f(z): from -floor(L / 2) to the highest level below L / 2, with f(0) = 0."""
        levels = self._levels(z.device)
        reach = (levels - 1).to(z.dtype) * (1 + SLACK) / 2
        offset = (levels % 2 == 0).to(z.dtype) / 2
        shift = torch.atanh(offset / reach.clamp_min(1 / 2 + SLACK / 2))
        return torch.tanh(z + shift) * reach - offset

    def _indices(self, steps: Tensor) -> Tensor:
        digits = steps.long() + self._levels(steps.device) // 2
        return (digits * self._places(steps.device)).sum(-1)


def even_levels(codebook_size: int, dim: int) -> tuple[int, ...]:
    """`dim` factors of K, as even as its prime factors allow, the largest first."""
    levels = [1] * dim
    for prime in sorted(_prime_factors(codebook_size), reverse=True):
        levels[levels.index(min(levels))] *= prime
    return tuple(sorted(levels, reverse=True))


def checked_levels(levels: object) -> tuple[int, ...]:
    """The levels as whole numbers; InvalidInputError if they are something else."""
    if not isinstance(levels, Iterable):
        raise InvalidInputError(f"The levels are one whole number for each coordinate, not {levels!r}.")
    return tuple(whole("levels", level) for level in levels)


def _prime_factors(number: int) -> list[int]:
    factors, candidate = [], 2
    while number > 1:
        while number % candidate == 0:
            factors.append(candidate)
            number //= candidate
        candidate += 1
    return factors
