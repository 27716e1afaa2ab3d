"""Sufficient statistics of a codebook update, and their explicit sum over ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.quantizers.codebook.ranks import total


@dataclass(frozen=True)
class CodebookStatistics:
    """What a batch says about each code vector: counts (K,) and sums (K, d) of the vectors assigned to it.

    Both are float64, so that sums over ranks, in whatever order, round to the same float32 codebook.
    """

    counts: Float[Tensor, " k"]
    sums: Float[Tensor, "k d"]

    @classmethod
    def gather(
        cls, vectors: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch"], codebook_size: int
    ) -> CodebookStatistics:
        """Statistics of vectors that were assigned to the code vectors `indices`."""
        rows = vectors.detach().reshape(-1, vectors.shape[-1]).double()
        flat = indices.reshape(-1)
        sums = rows.new_zeros(codebook_size, rows.shape[1]).index_add_(0, flat, rows)
        counts = torch.bincount(flat, minlength=codebook_size).double()
        return cls(counts, sums)

    def __add__(self, other: CodebookStatistics) -> CodebookStatistics:
        return CodebookStatistics(self.counts + other.counts, self.sums + other.sums)


def sync(
    statistics: Sequence[CodebookStatistics], group: dist.ProcessGroup | None = None
) -> tuple[CodebookStatistics, ...]:
    """Sum the statistics over all ranks of the group; without torch.distributed, return them as they are.

    Every rank must call it, once for each update. Shapes are the same on every rank, whatever its batch was.
    """
    return tuple(
        CodebookStatistics(total(entry.counts, group), total(entry.sums, group)) for entry in statistics
    )
