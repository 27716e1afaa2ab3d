"""Convex codes that fit in bytes: a few code vectors, with weights on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb, log2

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.quantizers.core.arguments import whole
from barycode.quantizers.core.assignment import SparseAssignment
from barycode.simplex.nearest import block_rows, compute_dtype, nearest

Search = tuple[Tensor, Tensor]  # errors (n, ...) up to |z|^2, and the chosen slots (n, ..., s)


@dataclass(frozen=True)
class SparseCode:
    """Points p of the simplex with at most `support` non-zero weights, all of them multiples of 1 / levels.

    Such a p is a multiset of `levels` code vectors, its indices in ascending order: int64
    (..., levels), or (...) where support = 1 (a vertex: vector quantization). q = p C is the mean of the
    code vectors named. The K-vector codebook has sum_t comb(K, t) comb(levels - 1, t - 1) such points,
    t = 1 ... support.

    The encoder splits the weights in every way into slots w_1 >= ... >= w_s, looks for the vectors of the
    slots one after the other keeping the `beam` best beginnings, and then exchanges single vectors while that
    helps. With a beam of K, two slots are searched exhaustively.
    """

    support: int = 1
    levels: int = 1
    beam: int = 8

    def __post_init__(self) -> None:
        whole("support", self.support)
        whole("beam", self.beam)
        if whole("levels", self.levels) < self.support:
            raise InvalidInputError(
                f"A sparse code has no more code vectors than indices: support {self.support} <= levels, "
                f"which is {self.levels}."
            )

    @property
    def index_count(self) -> int:
        """How many indices stand for one vector."""
        return self.levels if self.support > 1 else 1

    def bits(self, codebook_size: int) -> float:
        """log2 of the number of codes: what a vector costs before entropy coding."""
        sizes = range(1, min(self.support, codebook_size) + 1)
        return log2(sum(comb(codebook_size, t) * comb(self.index_count - 1, t - 1) for t in sizes))

    def __call__(self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> SparseAssignment:
        """The weights of the codes of z, without gradient: a `ConvexProgram` as the soft ones are."""
        return self.weights(self.encode(z, codebook), len(codebook), compute_dtype(z, codebook))

    @torch.no_grad()
    def encode(
        self, z: Float[Tensor, "*batch d"], codebook: Float[Tensor, "k d"]
    ) -> Int64[Tensor, "*batch_indices"]:
        """Indices for z, ascending: deterministic, the same for a vector alone and in any batch."""
        if self.support == 1:
            return nearest(z, codebook)
        dtype = compute_dtype(z, codebook)
        origin = codebook.to(dtype).mean(0)
        vectors = z.reshape(-1, z.shape[-1]).to(dtype) - origin
        search = _BeamSearch.over(codebook.to(dtype) - origin, self.beam)
        if torch.compiler.is_exporting():  # a graph whose batch has no size yet
            return self._search(search, vectors).reshape(*z.shape[:-1], self.levels)
        indices = torch.empty(len(vectors), self.levels, dtype=torch.int64, device=z.device)
        rows = block_rows(len(codebook) * self.beam)
        for block, out in zip(vectors.split(rows), indices.split(rows), strict=True):
            # Every block has one shape, since a matrix product of another shape may round differently.
            padded = functional.pad(block, (0, 0, 0, rows - len(block)))
            out.copy_(self._search(search, padded)[: len(block)])
        return indices.reshape(*z.shape[:-1], self.levels)

    def decode(
        self, indices: Int64[Tensor, "*batch_indices"], codebook: Float[Tensor, "k d"]
    ) -> Float[Tensor, "*batch d"]:
        """The mean of the code vectors that the indices name; InvalidInputError for another shape."""
        if self.support == 1:
            return functional.embedding(indices, codebook)
        if indices.shape[-1:] != (self.levels,):
            raise InvalidInputError(
                f"The indices have shape {tuple(indices.shape)}, expected (..., {self.levels})."
            )
        return functional.embedding(indices, codebook).mean(-2)

    def weights(
        self, indices: Int64[Tensor, "*batch_indices"], codebook_size: int, dtype: torch.dtype
    ) -> SparseAssignment:
        """The point of the simplex that the indices name."""
        places = indices if self.support > 1 else indices.unsqueeze(-1)
        shares = torch.full(places.shape, 1 / self.index_count, dtype=dtype, device=indices.device)
        return SparseAssignment(places, shares, codebook_size)

    def _search(self, search: _BeamSearch, z: Tensor) -> Tensor:
        best_error = z.new_full((z.shape[0],), torch.inf)
        best = torch.zeros(z.shape[0], self.levels, dtype=torch.int64, device=z.device)
        for split in partitions(self.levels, self.support):
            error, slots = search.run(z, [part / self.levels for part in split])
            repeated = [slot for slot, part in enumerate(split) for _ in range(part)]
            better = error < best_error
            best = torch.where(better[:, None], slots[:, repeated], best)
            best_error = torch.where(better, error, best_error)
        return best.sort(-1).values


def partitions(total: int, parts: int, largest: int | None = None) -> Iterator[list[int]]:
    """The ways to write `total` as a sum of `parts` positive integers in falling order."""
    largest = total if largest is None else largest
    if parts == 0:
        yield from [[]] if total == 0 else []
        return
    for first in range(min(largest, total - parts + 1), (total - 1) // parts, -1):
        for rest in partitions(total - first, parts - 1, first):
            yield [first, *rest]


@dataclass(frozen=True)
class _BeamSearch:
    """Finds slots i_1 ... i_s that make ||z - sum_t w_t c_{i_t}||^2 small, from inner products alone."""

    codebook: Tensor
    gram: Tensor  # (K, K)
    beam: int

    @classmethod
    def over(cls, codebook: Tensor, beam: int) -> _BeamSearch:
        return cls(codebook, codebook @ codebook.T, min(beam, len(codebook)))

    def run(self, z: Tensor, weights: list[float]) -> Search:
        """The best error (n,), less |z|^2, and slots (n, s)."""
        products = z @ self.codebook.T
        errors, slots = self._extend(products, weights)
        best = errors.argmin(1)
        errors = errors.gather(1, best[:, None]).squeeze(1)
        slots = _gather(slots, best[:, None]).squeeze(1)
        return self._exchange(products, weights, errors, slots)

    def _extend(self, products: Tensor, weights: list[float]) -> Search:
        """Errors (n, beam) and slots (n, beam, s) of the beginnings kept."""
        n, size = products.shape
        errors = products.new_zeros(n, 1)
        slots = torch.empty(n, 1, 0, dtype=torch.int64, device=products.device)
        overlap = products.new_zeros(n, 1, size)  # of each beginning with every code vector
        for weight in weights:
            alone = weight * (weight * self.gram.diagonal() - 2 * products)
            candidates = errors[..., None] + alone[:, None] + 2 * weight * overlap
            kept = candidates.flatten(1).topk(min(self.beam, candidates[0].numel()), largest=False)
            errors, parents, added = kept.values, kept.indices // size, kept.indices % size
            slots = torch.cat([_gather(slots, parents), added[..., None]], -1)
            overlap = _gather(overlap, parents) + weight * self.gram[added]
        return errors, slots

    def _exchange(self, products: Tensor, weights: list[float], errors: Tensor, slots: Tensor) -> Search:
        """One sweep: each slot gets the best vector for it, the others held."""
        for t, weight in enumerate(weights):
            others = [(slots[:, o], w) for o, w in enumerate(weights) if o != t]
            overlap = sum(w * self.gram[slot] for slot, w in others) if others else torch.zeros_like(products)
            alone = weight * (weight * self.gram.diagonal() - 2 * products + 2 * overlap)
            held = errors - alone.gather(1, slots[:, t : t + 1]).squeeze(1)
            best = alone.min(1)
            better = held + best.values < errors
            slots[:, t] = torch.where(better, best.indices, slots[:, t])
            errors = torch.where(better, held + best.values, errors)
        return errors, slots


def _gather(table: Tensor, parents: Tensor) -> Tensor:
    return table.gather(1, parents[..., None].expand(*parents.shape, table.shape[-1]))
