"""Batches of sequences of several lengths: padding is neither quantized nor counted."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers.core.arguments import kind_of
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Quantizer

PADDING = -1


def quantize_masked(quantizer: Quantizer, z: Tensor, mask: Bool[Tensor, "*batch"]) -> Quantized:
    """`quantizer(z[mask])`, put back where it came from: z is (..., d), mask (...) is true for real vectors.

    Elsewhere `quantized` is 0 and indices are -1. Losses, `weights` and all statistics are those of the real
    vectors, exactly as if there were no padding; padding may hold any value, NaN too. Raises
    InvalidInputError for a mask of another shape or type.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != z.shape[:-1]:
        raise InvalidInputError(f"The mask must be bool of shape {tuple(z.shape[:-1])}, not {kind_of(mask)}.")
    result: Quantized = quantizer(z[mask])
    quantized = z.new_zeros(z.shape).masked_scatter(mask.unsqueeze(-1), result.quantized)
    shape = (*mask.shape, *result.indices.shape[1:])
    indices = torch.full(shape, PADDING, device=z.device)
    indices[mask] = result.indices
    return replace(result, quantized=quantized, indices=indices)


def length_mask(lengths: Int64[Tensor, " b"], longest: int) -> Bool[Tensor, "b longest"]:
    """The mask of sequences of these lengths in a batch padded to `longest`; InvalidInputError beyond it."""
    if lengths.numel() and not bool(((lengths >= 0) & (lengths <= longest)).all()):
        raise InvalidInputError(f"The lengths must be from 0 to {longest}, not {lengths.tolist()}.")
    return torch.arange(longest, device=lengths.device) < lengths.unsqueeze(-1)
