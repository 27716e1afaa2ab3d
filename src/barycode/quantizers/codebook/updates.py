"""Codebook updates without gradients: one visible step, from statistics that may come from many ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.codebook.statistics import CodebookStatistics
from barycode.quantizers.core.quantizer import Quantizer


@dataclass(frozen=True)
class EmaUpdate:
    """Exponential moving average of the vectors assigned to each code (van den Oord et al. 2017, A.1).

    With the batch's counts n and sums s:  N <- decay N + (1 - decay) n,
    c <- (decay N_old c + (1 - decay) s) / N.  The running sum N c of the paper is never stored, so a code
    vector and its statistics cannot disagree: a row that is revived (N = 0) keeps its place until vectors
    choose it, and then moves to their mean. A row without any vectors never moves. The paper's decay is
    0.99, which follows latents that still move more slowly.

        quantizer.requires_grad_(False)
        update = EmaUpdate()
        update(quantizer, sync(quantizer.statistics(z)))
    """

    decay: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise InvalidInputError(f"The decay of an EMA must be in [0, 1), not {self.decay}.")

    def __call__(self, quantizer: Quantizer, statistics: Sequence[CodebookStatistics]) -> None:
        """Move every codebook of the quantizer, in place."""
        if len(statistics) != len(quantizer.codebooks):
            raise InvalidInputError(
                f"The quantizer has {len(quantizer.codebooks)} codebooks, but there are {len(statistics)} "
                "statistics: pass what its own `statistics(z)` returned."
            )
        for codebook, entry in zip(quantizer.codebooks, statistics, strict=True):
            self._move(codebook, entry)

    @torch.no_grad()
    def _move(self, codebook: Codebook, entry: CodebookStatistics) -> None:
        if codebook.vectors.requires_grad:
            raise InvalidInputError(
                "EmaUpdate needs a frozen codebook: call `quantizer.requires_grad_(False)` first."
            )
        old, new = self.decay * codebook.counts, (1 - self.decay) * entry.counts
        sums = old[:, None] * codebook.vectors + (1 - self.decay) * entry.sums
        means = sums / (old + new).clamp_min(torch.finfo(sums.dtype).tiny)[:, None]
        moved = (entry.counts > 0)[:, None]
        codebook.vectors.copy_(torch.where(moved, means, codebook.vectors))
        codebook.counts.copy_(old + new)
