"""Nearest code vectors, in blocks: argmin over k of ||z - c_k||^2."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.simplex import least_scores

BLOCK_ELEMENTS = 1 << 18  # numbers in flight: 1 MB of float32, which stays in the cache of one core
SEARCH_ELEMENTS = 1 << 20  # the same where many short steps are taken: they weigh more than the cache
MIN_ROWS, MAX_ROWS = 128, 4096  # a product amortises packing the codebook; one vector alone stays cheap
RUNS, WORTHWHILE = 8, 64  # scores are searched in so many runs, from so many codes on


def nearest(z: Float[Tensor, "*batch d"], codebook: Float[Tensor, "k d"]) -> Int64[Tensor, "*batch"]:
    """argmin_k ||z - c_k||^2, the lowest k where computed distances tie; int64, shape (...).

    Computes in float32 at least, whatever autocast says, in blocks of one fixed shape: memory beyond the
    result is bounded, and a vector gets the same code alone and inside any batch. A row with a NaN or an
    infinity gets code 0. No gradient flows.
    """
    dtype = compute_dtype(z, codebook)
    with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
        if torch.compiler.is_exporting():
            return _nearest_at_once(z.to(dtype), codebook.to(dtype))
        vectors = z.detach().reshape(-1, z.shape[-1])
        in_one_pass = least_scores.applies(codebook, len(vectors))
        runs = 1 if in_one_pass else _run_count(len(codebook))
        codes, half_norms, origin = _prepare(codebook.detach().to(dtype), runs)
        indices = torch.empty(len(vectors), dtype=torch.int64, device=z.device)
        rows = block_rows(codebook.shape[0] + z.shape[-1], SEARCH_ELEMENTS)
        centered = codes.new_zeros(rows, codes.shape[1])  # of one shape: another may round differently
        scores = codes.new_empty(codes.shape[0], rows)
        for block, out in zip(vectors.split(rows), indices.split(rows), strict=True):
            torch.sub(block, origin, out=centered[: len(block)])
            torch.mm(codes, centered.T, out=scores)
            if in_one_pass:
                best = least_scores.find(scores, half_norms)
            else:
                best = _first_minimum(scores.add_(half_norms))  # faster than addmm with a broadcast sum
            out.copy_(best[: len(block)])
        return indices.reshape(z.shape[:-1])


def _nearest_at_once(z: Tensor, codebook: Tensor) -> Tensor:
    """The same without blocks, for graphs whose batch has no size yet."""
    origin = codebook.mean(0)
    codes = codebook - origin
    return (codes.square().sum(1) / 2 - (z - origin) @ codes.T).argmin(-1)


def block_rows(numbers: int, elements: int = BLOCK_ELEMENTS) -> int:
    """How many vectors share a block if each brings so many numbers: a power of two, as batches often are."""
    fitting = 1 << (elements // numbers).bit_length() >> 1
    return max(MIN_ROWS, min(MAX_ROWS, fitting))


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """The widest dtype among the tensors, float32 at least."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _prepare(codebook: Tensor, runs: int) -> tuple[Tensor, Tensor, Tensor]:
    """-c around the codes' mean, |c|^2 / 2 as a column, and the mean.

    Distances do not change when both sides move by the same vector, but rounding errors shrink. In
    `runs` of W, code w * runs + g stands at row g * W + w, padding codes are infinitely long: see
    `_first_minimum`.
    """
    size = len(codebook)
    origin = codebook.mean(0)
    codes = codebook.new_zeros(-(-size // runs) * runs, codebook.shape[1])
    half_norms = codes.new_full((len(codes), 1), torch.inf)
    torch.sub(origin, codebook, out=codes[:size])
    half_norms[:size] = codes[:size].square().sum(1, keepdim=True) / 2
    codes, half_norms = (part.unflatten(0, (-1, runs)).transpose(0, 1) for part in (codes, half_norms))
    return codes.flatten(0, 1), half_norms.flatten(0, 1), origin


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
    places = torch.arange(columns, device=scores.device).add_(best, alpha=columns)
    return best * count + _first_minimal_row(scores.view(count, -1).index_select(1, places))


def _first_minimal_row(scores: Tensor) -> Tensor:
    """The lowest row with the minimum of each column: every other gets an infinite penalty, or nearly.

    Overwrites the scores: a second block of them would push the first out of the cache.
    """
    rows = torch.arange(scores.shape[0], dtype=scores.dtype, device=scores.device)[:, None]
    excess = scores.sub_(scores.amin(0))
    penalty = torch.finfo(torch.float32).max
    return torch.add(rows, excess, alpha=penalty, out=scores).amin(0).nan_to_num_(0.0).long()
