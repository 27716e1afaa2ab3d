"""Soft entropies in bits: the rate that training sees of soft-to-hard vector quantization.

With soft assignments phi of N vectors to K code vectors, q_j = mean of phi_j is their soft histogram, p_j the
histogram of hard symbols. The rate term is -sum q_j log2 p_j: differentiable in phi, at least the entropy of
q.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.errors import InvalidInputError


def soft_histogram(weights: Float[Tensor, "*batch k"]) -> Float[Tensor, " k"]:
    """q_j = mean over the batch of the weights of code vector j: (..., K) -> (K,)."""
    return weights.reshape(-1, weights.shape[-1]).mean(0)


def hard_histogram(indices: Int64[Tensor, "*batch"], codebook_size: int) -> Float[Tensor, " k"]:
    """p_j = fraction of the indices (...) that are j: (K,), in the default dtype; not differentiable.

    Raises InvalidInputError for an index outside the codebook.
    """
    counts = torch.bincount(indices.flatten(), minlength=codebook_size)
    if len(counts) != codebook_size:
        raise InvalidInputError(
            f"An index is {len(counts) - 1}, expected less than the codebook size {codebook_size}."
        )
    return counts.to(torch.get_default_dtype()) / max(indices.numel(), 1)


def entropy(p: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch"]:
    """-sum p_j log2 p_j in bits, along the last axis; 0 log 0 = 0."""
    return cross_entropy(p, p)


def cross_entropy(q: Float[Tensor, "*batch k"], p: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch"]:
    """-sum q_j log2 p_j in bits, along the last axis: the mean length of symbols from q in a code for p.

    Entries where p is 0 count as the smallest normal number, so that unseen symbols are dear, not infinite.
    """
    return -(q * p.clamp_min(torch.finfo(p.dtype).tiny).log2()).sum(-1)


def soft_cross_entropy(q: Float[Tensor, " k"], p: Float[Tensor, " k"]) -> Float[Tensor, ""]:
    """-sum q_j log2 p_j in bits a symbol, p held fixed: the rate of soft-to-hard quantization."""
    return cross_entropy(q, p.detach())


def expected_code_length(
    weights: Float[Tensor, "*batch a"], code_lengths: Float[Tensor, "t a"], rows: Int64[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """sum_j w_j L[row, j] in bits: what soft assignments (..., A) cost under rows (...) of tables.

    `code_lengths` (T, A) is `FrequencyTables.code_lengths()` as a tensor. At a vertex it is what the coder
    pays.
    """
    return (weights * code_lengths[rows]).sum(-1)
