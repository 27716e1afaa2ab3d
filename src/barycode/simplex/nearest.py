"""Nearest code vectors, in blocks: argmin over k of ||z - c_k||^2."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.simplex import least_scores
from barycode.simplex.parallel import map_blocks

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
        search = _Search(codebook.detach().to(dtype), len(vectors))
        indices = torch.empty(len(vectors), dtype=torch.int64, device=z.device)
        if torch.compiler.is_compiling():  # threads are not for graphs
            search.into(indices, vectors)
        else:
            map_blocks(lambda part: search.into(indices[part], vectors[part]), search.parts(), z.device)
        return indices.reshape(z.shape[:-1])


class _Search:
    """What the blocks of one search share."""

    def __init__(self, codebook: Tensor, count: int) -> None:
        self._count = count
        self._compiled = least_scores.applies(codebook, count)
        order = 1 if self._compiled else _run_count(len(codebook))
        self._codes, self._half_norms, self._origin = _prepare(codebook, order)
        elements = BLOCK_ELEMENTS if self._compiled else SEARCH_ELEMENTS
        self._rows = block_rows(sum(codebook.shape), elements)

    def parts(self) -> list[slice]:
        """The vectors that one thread searches: whole blocks."""
        blocks = -(-self._count // self._rows)
        share = max(1, -(-blocks // torch.get_num_threads())) * self._rows
        return [slice(start, start + share) for start in range(0, self._count, share)]

    def into(self, indices: Tensor, vectors: Tensor) -> None:
        """Put the nearest codes of vectors (n, d) into indices (n,)."""
        codes = self._codes
        centered = codes.new_zeros(self._rows, codes.shape[1])  # of one shape: another may round differently
        scores = codes.new_empty(len(codes), self._rows)
        for block, out in zip(vectors.split(self._rows), indices.split(self._rows), strict=True):
            torch.sub(block, self._origin, out=centered[: len(block)])
            torch.mm(codes, centered.T, out=scores)
            if self._compiled:
                best = least_scores.find(scores, self._half_norms)
            else:
                best = _first_minimum(scores.add_(self._half_norms))  # faster than addmm with a broadcast sum
            out.copy_(best[: len(block)])


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


def _prepare(codebook: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """-c around the codes' mean, |c|^2 / 2 as a column, and the mean.

    Distances do not change when both sides move by the same vector, but rounding errors shrink. In `count`
    runs of W, code w * count + g stands at row g * W + w, padding codes are infinitely long: see
    `_first_minimum`.
    """
    size = len(codebook)
    origin = codebook.mean(0)
    codes = codebook.new_zeros(-(-size // count) * count, codebook.shape[1])
    half_norms = codes.new_full((len(codes), 1), torch.inf)
    torch.sub(origin, codebook, out=codes[:size])
    half_norms[:size] = codes[:size].square().sum(1, keepdim=True) / 2
    codes, half_norms = (part.unflatten(0, (-1, count)).transpose(0, 1) for part in (codes, half_norms))
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
