"""Sparse matrices (n, K) with few numbers a row, and what is computed with them; without gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

STEPS = 100  # of Newton's method, which needs about five and ends by itself


@dataclass(frozen=True)
class Ragged:
    """Numbers for some (vector, code) pairs, sorted by vector: those of vector i from starts[i] on."""

    values: Tensor
    codes: Tensor
    starts: Tensor  # (n + 1,)

    @classmethod
    def of(cls, weights: Tensor) -> Ragged:
        """The positive ones of weights (n, K)."""
        flat = weights.view(-1)
        places = flat.nonzero().squeeze(1)
        rows, columns = weights.shape
        starts = torch.arange(rows + 1, device=places.device) * columns
        return cls(flat[places], places % columns, torch.searchsorted(places, starts))

    @classmethod
    def joined(cls, parts: list[Ragged]) -> Ragged:
        """Vectors after vectors."""
        counts = torch.cat([part.starts.diff() for part in parts])
        return cls(
            torch.cat([part.values for part in parts]),
            torch.cat([part.codes for part in parts]),
            functional.pad(counts.cumsum(0), (1, 0)),
        )

    def projected(self, size: int) -> Ragged:
        """The numbers of each vector, all that could matter of `size`, projected onto the simplex."""
        owners, above = self.owners(), self.values
        shift = self.values.new_zeros(len(self.starts) - 1)
        precision = 4 * size * torch.finfo(shift.dtype).eps
        for _ in range(STEPS):
            excess = self.sums(above) - 1
            if not bool((excess > precision).any()):
                break
            shift += excess / self.sums(above.sign())
            above = (self.values - shift[owners]).clamp_(min=0)
        kept = above.nonzero().squeeze(1)
        return Ragged(above[kept], self.codes[kept], torch.searchsorted(kept, self.starts))

    def part(self, rows: slice) -> Ragged:
        """Those of some of the vectors."""
        starts = self.starts[rows.start : rows.stop + 1]
        pairs = slice(int(starts[0]), int(starts[-1]))
        return Ragged(self.values[pairs], self.codes[pairs], starts - starts[0])

    def combine(self, table: Tensor) -> Tensor:
        """The sum over codes k of value * table[k], for each vector: (n, d) from (K, d)."""
        return _bags(self.codes, self.values, self.starts, table)

    def spread(self, rows: Tensor, size: int) -> Tensor:
        """The sum over vectors i of value * rows[i], for each code: (K, d) from (n, d)."""
        order = self.codes.to(torch.int16 if size < 2**15 else torch.int64).argsort(stable=True)
        starts = torch.searchsorted(self.codes[order], torch.arange(size + 1, device=order.device))
        return _bags(self.owners()[order], self.values[order], starts, rows)

    def products(self, rows: Tensor, table: Tensor) -> Tensor:
        """rows[i] . table[k] for the pairs, one number each."""
        with torch.enable_grad():
            unknown = torch.zeros_like(self.values, requires_grad=True)
            return torch.autograd.grad(_bags(self.codes, unknown, self.starts, table), unknown, rows)[0]

    def owners(self) -> Tensor:
        """The vector of each pair."""
        counts = self.starts.diff()
        return torch.arange(len(counts), device=counts.device).repeat_interleave(counts)

    def centered(self, values: Tensor) -> Ragged:
        """Other numbers for the same pairs, less their mean over each vector's."""
        counts = self.starts.diff()
        return replace(self, values=values - (self.sums(values) / counts).repeat_interleave(counts))

    def sums(self, values: Tensor) -> Tensor:
        """Sums (n,) over each vector's pairs."""
        return _bags(torch.zeros_like(self.codes), values, self.starts, values.new_ones(1, 1)).squeeze(1)


def _bags(indices: Tensor, weights: Tensor, starts: Tensor, table: Tensor) -> Tensor:
    return functional.embedding_bag(
        indices, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
