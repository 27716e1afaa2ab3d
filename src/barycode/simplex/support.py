"""Points of the simplex over K code vectors, held as lists of their non-zero weights, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from barycode.simplex.first_order import first_order


@dataclass(frozen=True)
class Support:
    """Pairs (vector, code), sorted by vector, and sums over them; without gradients.

    codes: (m,) of all pairs; starts: (n + 1,) those of vector i begin at starts[i]. size: K.
    """

    codes: Int64[Tensor, " m"]
    starts: Int64[Tensor, " n1"]
    size: int

    @cached_property
    def counts(self) -> Int64[Tensor, " n"]:
        """How many codes each vector has."""
        return self.starts.diff()

    @cached_property
    def owners(self) -> Int64[Tensor, " m"]:
        """The vector of each pair."""
        vectors = torch.arange(len(self.counts), device=self.codes.device)
        return vectors.repeat_interleave(self.counts, output_size=len(self.codes))

    @cached_property
    def by_code(self) -> tuple[Int64[Tensor, " m"], Int64[Tensor, " k1"]]:
        """The pairs in the order of their codes, and where each code begins there."""
        narrow = torch.int16 if self.size <= 2**15 else torch.int64  # the sort is one of digits
        order = self.codes.to(narrow).argsort(stable=True)
        ends = self.codes.bincount(minlength=self.size).cumsum(0)
        return order, functional.pad(ends, (1, 0))

    def combine(self, values: Float[Tensor, " m"], table: Float[Tensor, "k d"]) -> Float[Tensor, "n d"]:
        """The sum over its codes k of value * table[k], for each vector."""
        return _bags(self.codes, values, self.starts, table)

    def spread(self, values: Float[Tensor, " m"], rows: Float[Tensor, "n d"]) -> Float[Tensor, "k d"]:
        """The sum over its vectors i of value * rows[i], for each code."""
        order, starts = self.by_code
        return _bags(self.owners.index_select(0, order), values.index_select(0, order), starts, rows)

    def products(self, rows: Float[Tensor, "n d"], table: Float[Tensor, "k d"]) -> Float[Tensor, " m"]:
        """rows[i] . table[k] of each pair."""
        with torch.enable_grad():  # there is no other way to this kernel
            unknown = rows.new_zeros(len(self.codes), requires_grad=True)
            combined = _bags(self.codes, unknown, self.starts, table.detach())
            return torch.autograd.grad(combined, unknown, rows)[0]

    def centered(self, values: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
        """The values less their mean over each vector's pairs."""
        sums = values.new_zeros(len(self.counts)).index_add_(0, self.owners, values)
        return values - (sums / self.counts).index_select(0, self.owners)

    def places(self) -> tuple[Int64[Tensor, " m"], int]:
        """Where each pair stands in rows of equal length, one a vector, and that length."""
        width = max(1, int(self.counts.max())) if len(self.counts) else 1
        shift = torch.arange(len(self.counts), device=self.codes.device) * width - self.starts[:-1]
        places = torch.arange(len(self.codes), device=self.codes.device)
        return places.add_(shift.index_select(0, self.owners)), width


@dataclass(frozen=True)
class Ragged:
    """Weights and the pairs they belong to."""

    values: Float[Tensor, " m"]
    support: Support

    @classmethod
    def joined(cls, parts: list[Ragged]) -> Ragged:
        """Vectors after vectors, of the same codebook."""
        ends = torch.cat([part.support.counts for part in parts]).cumsum(0)
        codes = torch.cat([part.support.codes for part in parts])
        support = Support(codes, functional.pad(ends, (1, 0)), parts[0].support.size)
        return cls(torch.cat([part.values for part in parts]), support)

    def padded(self) -> tuple[Float[Tensor, "n s"], Int64[Tensor, "n s"]]:
        """Weights (n, s) and their codes, s the largest support; spare places weigh 0. Differentiable."""
        places, width = self.support.places()
        shape = len(self.support.counts), width
        values = self.values.new_zeros(shape[0] * width).scatter(0, places, self.values)
        codes = self.support.codes.new_zeros(shape[0] * width).scatter_(0, places, self.support.codes)
        return values.view(shape), codes.view(shape)

    def combine(self, codebook: Float[Tensor, "k d"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """p C, and p C with p held, whose gradient moves only the codebook. Differentiable once."""
        combined, held = _Combination.apply(self.values, codebook, self.support)
        return combined, held


class _Combination(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, codebook: Tensor, support: Support) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(values, codebook)
        ctx.support = support
        combined = support.combine(values, codebook)
        return combined, combined.clone()

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor, held: Tensor) -> tuple[Tensor | None, ...]:
        values, codebook = ctx.saved_tensors
        to_codebook = ctx.support.spread(values, gradient + held)
        return ctx.support.products(gradient, codebook), to_codebook, None


def _bags(indices: Tensor, weights: Tensor, starts: Tensor, table: Tensor) -> Tensor:
    return functional.embedding_bag(
        indices, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
