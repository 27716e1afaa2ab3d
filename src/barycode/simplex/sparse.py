"""Points of the simplex with few non-zero weights, held as pairs (index, weight)."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from barycode.simplex.first_order import first_order

BLOCK_ENTRIES = 2**19  # of an (n, K) block: it stays in the cache


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices that cut (rows, columns) into blocks of about BLOCK_ENTRIES entries."""
    size = max(16, BLOCK_ENTRIES // max(1, columns))
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def scatter(
    values: Float[Tensor, "n s"], indices: Int64[Tensor, "n s"], size: int
) -> Float[Tensor, "n size"]:
    """The dense rows of sparse weights."""
    return values.new_zeros(len(values), size).scatter_add(1, indices, values)


def weighted_sum(
    values: Float[Tensor, "n s"], indices: Int64[Tensor, "n s"], rows: Float[Tensor, "k d"]
) -> Float[Tensor, "n d"]:
    """p C for sparse weights p; without gradient."""
    return functional.embedding_bag(indices, rows, per_sample_weights=values, mode="sum")


def combine(
    values: Float[Tensor, "n s"], indices: Int64[Tensor, "n s"], codebook: Float[Tensor, "k d"]
) -> Float[Tensor, "n d"]:
    """p C for sparse weights p with a sum of one, differentiable; memory is bounded by a block of rows.

    It is m + p (C - m), m the mean of C, so that rounding is that of the distances between code vectors
    and not of where they lie.
    """
    origin = codebook.detach().mean(0)
    combined: Tensor = _Combination.apply(values, indices, codebook - origin)
    return combined + origin


class _Combination(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, indices: Tensor, codebook: Tensor) -> Tensor:
        ctx.save_for_backward(values, indices, codebook)
        return weighted_sum(values, indices, codebook)

    @staticmethod
    @first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor]:
        values, indices, codebook = ctx.saved_tensors
        to_values = torch.empty_like(values)
        to_codebook = torch.zeros_like(codebook)
        for rows in row_blocks(len(values), len(codebook)):
            gradient, chosen = gradients[0][rows], indices[rows]
            to_values[rows] = (gradient @ codebook.T).gather(1, chosen)
            to_codebook.addmm_(scatter(values[rows], chosen, len(codebook)).T, gradient)
        return to_values, None, to_codebook
