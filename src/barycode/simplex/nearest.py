"""Nearest code vectors, in blocks: argmin over k of ||z - c_k||^2."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

BLOCK_ELEMENTS = 1 << 18  # scores in flight: 1 MB of float32, which stays in the cache of one core
MIN_ROWS, MAX_ROWS = (
    128,
    2048,
)  # of vectors: a product amortises packing the codebook; one vector alone stays cheap
RUNS, WORTHWHILE = 8, 64  # scores are searched in so many runs, from so many codes on


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
        rows = block_rows(codebook.shape[0])
        scores = torch.empty(codes.shape[0], rows, dtype=dtype, device=z.device)
        for block, out in zip(vectors.split(rows), indices.split(rows), strict=True):
            centered = block.to(dtype) - origin
            if block.shape[0] < rows:  # a matrix product of another shape may round differently
                centered = functional.pad(centered, (0, 0, 0, rows - block.shape[0]))
            torch.mm(codes, centered.T, out=scores)
            scores.add_(half_norms)  # faster than addmm with a broadcast sum
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
    """-c around the codes' mean, |c|^2 / 2 as a column, and the mean.

    Distances do not change when both sides move by the same vector, but rounding errors shrink. Code
    w * RUNS + g stands at row g * W + w, padding codes are infinitely long: see `_first_minimum`.
    """
    origin = codebook.mean(0)
    codes = codebook - origin
    half_norms = codes.square().sum(1, keepdim=True) / 2
    return _in_runs(-codes, 0), _in_runs(half_norms, torch.inf), origin


def _in_runs(rows: Tensor, padding: float) -> Tensor:
    if _run_count(len(rows)) == 1:
        return rows
    padded = functional.pad(rows, (0, 0, 0, -len(rows) % RUNS), value=padding)
    return padded.view(-1, RUNS, rows.shape[1]).transpose(0, 1).flatten(0, 1)


def _run_count(codes: int) -> int:
    return RUNS if codes >= WORTHWHILE else 1


def _first_minimum(scores: Tensor) -> Tensor:
    """The lowest code of the least score in each column, from scores (K, n) in the order of `_prepare`.

    The minimum over runs is one pass at the speed of memory; what it leaves is RUNS times less, and then RUNS
    candidates a vector. `argmin` is not vectorised. Overwrites nothing of the scores where there are runs.
    """
    count = _run_count(scores.shape[0])
    if count == 1:
        return _first_minimal_row(scores)
    columns = scores.shape[1]
    best = _first_minimal_row(scores.view(count, -1, columns).amin(0))
    place = best * columns + torch.arange(columns, device=scores.device)
    runs = torch.arange(0, scores.numel(), scores.numel() // count, device=scores.device)
    return best * count + _first_minimal_row(scores.take(runs[:, None] + place))


def _first_minimal_row(scores: Tensor) -> Tensor:
    """The lowest row with the minimum of each column: every other gets an infinite penalty, or nearly.

    Overwrites the scores: a second block of them would push the first out of the cache.
    """
    rows = torch.arange(scores.shape[0], dtype=scores.dtype, device=scores.device)[:, None]
    excess = scores.sub_(scores.amin(0))
    penalty = torch.finfo(torch.float32).max
    return torch.add(rows, excess, alpha=penalty, out=scores).amin(0).nan_to_num(0.0).long()
