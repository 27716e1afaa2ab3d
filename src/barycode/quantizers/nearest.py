"""Nearest code vectors, in blocks: argmin over k of ||z - c_k||^2."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

BLOCK_ELEMENTS = 1 << 18  # scores in flight: 1 MB of float32, which stays in the cache of one core
MIN_ROWS, MAX_ROWS = 128, 2048  # a product amortises packing the codebook; one vector alone stays cheap
GROUP = 128  # columns searched at a time


def nearest(z: Float[Tensor, "*batch d"], codebook: Float[Tensor, "k d"]) -> Int64[Tensor, "*batch"]:
    """argmin_k ||z - c_k||^2, the lowest k where computed distances tie; int64, shape (...).

    Computes in float32 at least, whatever autocast says, in blocks of one fixed shape: memory beyond the
    result is bounded, and a vector gets the same code alone and inside any batch. A row with a NaN or an
    infinity gets code 0. No gradient flows.
    """
    dtype = compute_dtype(z, codebook)
    with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
        codes, half_norms, origin = _prepare(codebook.detach().to(dtype))
        vectors = z.detach().reshape(-1, z.shape[-1])
        indices = torch.empty(vectors.shape[0], dtype=torch.int64, device=z.device)
        rows = block_rows(codes.shape[0])
        scores = torch.empty(rows, codes.shape[0], dtype=dtype, device=z.device)
        for block, out in zip(vectors.split(rows), indices.split(rows), strict=True):
            centered = block.to(dtype) - origin
            if block.shape[0] < rows:  # a matrix product of another shape may round differently
                centered = functional.pad(centered, (0, 0, 0, rows - block.shape[0]))
            torch.addmm(half_norms, centered, codes.T, alpha=-1, out=scores)
            out.copy_(_first_minimum(scores)[: block.shape[0]])
        return indices.reshape(z.shape[:-1])


def block_rows(codebook_size: int) -> int:
    """How many vectors share one block of scores: about BLOCK_ELEMENTS / K, a multiple of 16."""
    return max(MIN_ROWS, min(MAX_ROWS, BLOCK_ELEMENTS // codebook_size // 16 * 16))


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """The widest dtype among the tensors, float32 at least."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _prepare(codebook: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Codes around their mean, padded to whole groups; |c|^2 / 2, infinite in the padding; and the mean.

    Distances do not change when both sides move by the same vector, but rounding errors shrink.
    """
    origin = codebook.mean(0)
    codes = codebook - origin
    padding = -codes.shape[0] % _group_count(codes.shape[0])
    half_norms = functional.pad(codes.square().sum(1) / 2, (0, padding), value=torch.inf)
    return functional.pad(codes, (0, 0, 0, padding)), half_norms, origin


def _group_count(columns: int) -> int:
    return max(1, columns // GROUP)


def _first_minimum(scores: Tensor) -> Tensor:
    """Argmin over each row, by minima of contiguous groups: `amin` is vectorised, `argmin` is not."""
    rows, columns = scores.shape
    count = _group_count(columns)
    if count == 1:
        return _first_minimum_of_few(scores)
    groups = scores.view(rows * count, columns // count)
    best_group = _first_minimum_of_few(groups.amin(1).view(rows, count))
    first_group = torch.arange(0, rows * count, count, device=scores.device)
    best_scores = groups.index_select(0, first_group + best_group)
    return best_group * (columns // count) + _first_minimum_of_few(best_scores)


def _first_minimum_of_few(scores: Tensor) -> Tensor:
    """The lowest column whose score is the row's minimum: every other gets an infinite penalty, or nearly.

    Overwrites the scores: a second block of them would push the first out of the cache.
    """
    columns = torch.arange(scores.shape[1], dtype=scores.dtype, device=scores.device)
    excess = scores.sub_(scores.amin(1, keepdim=True))
    penalty = torch.finfo(torch.float32).max
    return torch.add(columns, excess, alpha=penalty, out=scores).amin(1).nan_to_num(0.0).long()
