"""Tensors that are on their codebook already."""

from dataclasses import dataclass

import torch
from torch import Tensor

from barycode.errors import InvalidInputError

MAX_CENTERS = 2**16


@dataclass(frozen=True)
class Hardened:
    """A tensor given by codes: `tensor = centers[indices]`, coded with no further loss.

    `indices` int64 of the tensor's shape, in 0 ... K - 1; `centers` (K,) of the tensor's dtype, finite, in
    any order, K from 1 to 65536. Tensors with the same centers share one codebook in the file.
    """

    indices: Tensor
    centers: Tensor

    def __post_init__(self) -> None:
        if self.centers.ndim != 1 or not 1 <= len(self.centers) <= MAX_CENTERS:
            raise InvalidInputError(
                f"The centers have shape {tuple(self.centers.shape)}: expected (K,), K up to {MAX_CENTERS}."
            )
        if not self.centers.dtype.is_floating_point or not bool(self.centers.isfinite().all()):
            raise InvalidInputError("The centers are not finite floating-point numbers.")
        if self.indices.dtype.is_floating_point or self.indices.dtype in (torch.bool, torch.complex64):
            raise InvalidInputError(f"The indices are {self.indices.dtype}: expected integers.")
        if self.indices.numel() and not 0 <= self.indices.min() <= self.indices.max() < len(self.centers):
            raise InvalidInputError(f"Some indices are not in 0 ... {len(self.centers) - 1}.")

    def tensor(self) -> Tensor:
        """The weights: what a file with this tensor decodes to."""
        return self.centers[self.indices.long()]
