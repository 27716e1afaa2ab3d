"""Nearest code vectors, in blocks: argmin over k of ||z - c_k||^2."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

BLOCK_ELEMENTS = 1 << 18  # scores in flight: 1 MB of float32, which stays in the cache of one core
ROW_MULTIPLE = 64


def nearest(z: Float[Tensor, "*batch d"], codebook: Float[Tensor, "k d"]) -> Int64[Tensor, "*batch"]:
    """argmin_k ||z - c_k||^2, the lowest k where distances tie; int64, shape (...).

    Computes in float32 at least, whatever autocast says, in blocks of one fixed shape: memory beyond the
    result is bounded, and a vector gets the same code alone and inside any batch. A row with a NaN or an
    infinity gets code 0. No gradient flows.
    """
    dtype = compute_dtype(z, codebook)
    with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
        codes = codebook.detach().to(dtype)
        # Distances do not change when both sides move by the same vector, but rounding errors shrink.
        origin = codes.mean(0)
        codes = codes - origin
        half_norms = codes.square().sum(1) / 2
        vectors = z.detach().reshape(-1, z.shape[-1])
        rows = block_rows(codebook.shape[0])
        blocks = [
            _nearest_in_block(block.to(dtype) - origin, codes, half_norms, rows)
            for block in vectors.split(rows)
        ]
        return torch.cat(blocks).reshape(z.shape[:-1])


def block_rows(codebook_size: int) -> int:
    """How many vectors share one block of scores: a multiple of 64 near BLOCK_ELEMENTS / K."""
    return max(1, BLOCK_ELEMENTS // (codebook_size * ROW_MULTIPLE)) * ROW_MULTIPLE


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """The widest dtype among the tensors, float32 at least."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _nearest_in_block(block: Tensor, codes: Tensor, half_norms: Tensor, rows: int) -> Tensor:
    """Codes of one block, padded to `rows`: matrix products of another shape may round differently."""
    count = block.shape[0]
    if count < rows:
        block = functional.pad(block, (0, 0, 0, rows - count))
    scores = torch.addmm(half_norms, block, codes.T, alpha=-1)
    return scores.argmin(1)[:count]
