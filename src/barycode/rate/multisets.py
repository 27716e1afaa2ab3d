"""Sparse convex codes as bytes: few code vectors in no order, with weights that are multiples of 1 / L.

A code is a multiset of L code vectors, its indices in ascending order, such as 3 3 7. Its *shape* is the set
of places where the index changes; its *support* is the set of vectors in it. The shape is a symbol. A support
of t vectors has a probability proportional to the product of their odds, and is coded in ascending order:
with e_m(j) the sum of the products of all sets of m vectors from j on, the next of m vectors is a >= j with
probability odds_a e_{m-1}(a + 1) / e_m(j). So nothing is spent on an order. docs/format.md defines the bytes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from barycode.container.bounds import require_within
from barycode.errors import CorruptFileError, InvalidInputError
from barycode.rate.symbols import SymbolDecoder, SymbolEncoder
from barycode.rate.tables import TOTAL, FrequencyTables

MAX_ODDS = 255
MAX_CODEBOOK, MAX_LEVELS = 2**11, 16
MAX_INDICES = 2**25  # of one record
INDICES_PER_BYTE = 2**10  # that a byte of coded indices stands for at most
BLOCK = 2**20  # codes of a call
SUM_BITS = 38  # of sums of products in a table: times TOTAL they fit 63
_HEADER = struct.Struct("<IHBB")


@dataclass(frozen=True, eq=False)
class MultisetTables:
    """What coding multisets (n, levels) over a codebook needs to know, all of it integers.

    odds: int32 (K,), 1 ... MAX_ODDS, how likely each code vector is to be in a support.
    shapes: int32 (P,), 0 ... MAX_ODDS, how likely each shape with less than `support` changes is.
    support, levels: the most code vectors of a code, and how many indices it has.
    """

    odds: NDArray[np.int32]
    shapes: NDArray[np.int32]
    support: int
    levels: int

    def __post_init__(self) -> None:
        if not 1 <= self.support <= min(self.levels, len(self.odds)) or len(self.odds) > MAX_CODEBOOK:
            raise InvalidInputError(
                f"Multisets have a support of 1 to {min(self.levels, len(self.odds))} of at most "
                f"{MAX_CODEBOOK} code vectors, not {self.support} of {len(self.odds)}."
            )
        if self.levels > MAX_LEVELS or len(self.shapes) != _shape_count(self.levels, self.support):
            raise InvalidInputError(
                f"{len(self.shapes)} shapes come with {self.levels} levels and a support of {self.support}: "
                f"expected at most {MAX_LEVELS} levels and all their shapes."
            )

    @classmethod
    def fit(cls, indices: ArrayLike, codebook_size: int, support: int) -> "MultisetTables":
        """The tables for codes like these (n, levels): their histograms, one of everything added."""
        rows = _checked(indices, codebook_size, support)
        starts, support = _starts(rows), min(support, codebook_size)
        chosen = np.bincount(rows[starts], minlength=codebook_size)
        share = (chosen + 1) / (len(rows) + 2)  # of the codes that have the vector
        levels = rows.shape[1]
        known = _possible_shapes(levels, min(support, levels))
        shapes = np.bincount(_shapes(starts), minlength=1 << levels - 1)[known]
        return cls(_odds(share / (1 - share)), _odds(shapes), min(support, levels), levels)

    def encode(self, encoder: SymbolEncoder, indices: ArrayLike) -> None:
        """Append codes (n, levels), each row ascending. Raises InvalidInputError for any others."""
        rows = _checked(indices, len(self.odds), self.support)
        if rows.shape[1] != self.levels:
            raise InvalidInputError(
                f"Codes have {rows.shape[1]} indices, but the tables are for {self.levels}."
            )
        starts = _starts(rows)
        for block in self._shape_blocks(len(rows)):
            symbols = np.searchsorted(self._known, _shapes(starts[block]))
            encoder.encode(symbols, self._shape_table, np.zeros(len(symbols), np.int64))
        sizes = starts.sum(1)
        support = np.zeros((len(rows), self.support), np.int16)
        support[np.nonzero(starts)[0], (starts.cumsum(1) - 1)[starts]] = rows[starts]
        first = np.zeros(len(rows), np.int16)
        for left, active, tables, places in self._calls(sizes, first):
            chosen = support[active, sizes[active] - left]
            encoder.encode(chosen, tables, places)
            first[active] = chosen + 1

    def decode(self, decoder: SymbolDecoder, count: int) -> NDArray[np.int64]:
        """The next codes, int64 (count, levels). Raises CorruptFileError for codes that cannot be."""
        starts = np.zeros((count, self.levels), bool)
        starts[:, 0] = True
        for block in self._shape_blocks(count):
            symbols = decoder.decode(self._shape_table, np.zeros(len(starts[block]), np.int64))
            starts[block, 1:] = self._known[symbols][:, None] >> np.arange(self.levels - 1) & 1
        sizes = starts.sum(1, dtype=np.int8)
        support = np.zeros((count, self.support), np.int16)
        first = np.zeros(count, np.int16)
        for left, active, tables, places in self._calls(sizes, first):
            chosen = decoder.decode(tables, places).astype(np.int16)
            _require((chosen >= first[active]) & (chosen <= len(self.odds) - left))
            support[active, sizes[active] - left] = chosen
            first[active] = chosen + 1
        places = starts.cumsum(1, dtype=np.int8) - 1
        return np.take_along_axis(support, places, 1).astype(np.int64)

    @property
    def _known(self) -> NDArray[np.int64]:
        return _possible_shapes(self.levels, self.support)

    @property
    def _shape_table(self) -> FrequencyTables:
        return FrequencyTables(_shared(self.shapes.astype(np.int64))[None])

    def _shape_blocks(self, count: int) -> Iterator[slice]:
        """The calls of `count` shapes: none where there is but one shape."""
        if len(self.shapes) > 1:
            yield from _blocks(count)

    def _calls(
        self, sizes: NDArray[np.integer], first: NDArray[np.integer]
    ) -> Iterator[tuple[int, NDArray[np.int64], FrequencyTables, NDArray[np.int64]]]:
        """(left, codes, tables, the row of each code) of the calls that code supports.

        `sizes` and `first` (n,) are the numbers of vectors of all codes, and where the next may start at the
        time of the call. One code vector alone needs no symbol.
        """
        for left in range(self.support if len(self.odds) > 1 else 0, 0, -1):
            for block in _blocks(len(sizes)):
                active = np.flatnonzero(sizes[block] >= left) + block.start
                if active.size:
                    starts, rows = np.unique(first[active], return_inverse=True)
                    yield left, active, self._next_tables(left, starts), rows

    def _next_tables(self, left: int, starts: NDArray[np.integer]) -> FrequencyTables:
        """A row for each start: the next of `left` more vectors of a support, all of them from there on."""
        odds: list[int] = self.odds.tolist()
        mass = [1] * (len(odds) + 1)  # e_{left - 1} of the odds from each place on
        for _ in range(left - 1):
            mass = _sums_from([odd * after for odd, after in zip(odds, mass[1:], strict=True)])
        weights = [odd * after for odd, after in zip(odds, mass[1:], strict=True)]
        totals = _sums_from(weights)
        scales = np.array([max(weight.bit_length() - SUM_BITS, 0) for weight in weights])
        heads = np.array([weight >> scale for weight, scale in zip(weights, scales.tolist(), strict=True)])
        counts = np.ones((len(starts), len(odds)), np.int32)
        for row, start in zip(counts, starts.tolist(), strict=True):
            scale = max(totals[start].bit_length() - SUM_BITS, 0) if start < len(odds) else 0
            if start <= len(odds) - left:
                cut = heads[start:] >> np.minimum(scale - scales[start:], SUM_BITS)
                row[start:] += (cut * (TOTAL - len(odds)) // (totals[start] >> scale)).astype(np.int32)
            row[row.argmax()] += TOTAL - row.sum(dtype=np.int64)
        return FrequencyTables(counts)


def pack_multisets(indices: ArrayLike, codebook_size: int, support: int) -> bytes:
    """A whole record of codes (n, levels): their number, their own tables, and the coded indices."""
    rows = np.asarray(indices)
    tables = MultisetTables.fit(rows, codebook_size, support)
    if rows.size > MAX_INDICES:
        raise InvalidInputError(
            f"{rows.size} indices are too many for one record: at most {MAX_INDICES} fit."
        )
    encoder = SymbolEncoder()
    tables.encode(encoder, rows)
    head = _HEADER.pack(len(rows), len(tables.odds), tables.support, tables.levels)
    known = np.concatenate([tables.odds, tables.shapes]).astype(np.uint8).tobytes()
    return head + known + encoder.finish(_least(rows.size))


def unpack_multisets(data: bytes, limit: int | None = None) -> tuple[MultisetTables, NDArray[np.int64]]:
    """The tables and the codes of a record; CorruptFileError for what `pack_multisets` did not write.

    LimitError where the codes take more than `limit` bytes, 8 an index.
    """
    _require(len(data) >= _HEADER.size)
    count, size, support, levels = _HEADER.unpack_from(data)
    _require(1 <= support <= min(levels, size) and size <= MAX_CODEBOOK and levels <= MAX_LEVELS)
    _require(count * levels <= MAX_INDICES)
    require_within(limit, 8 * count * levels, "The record")
    known = np.frombuffer(data, np.uint8, offset=_HEADER.size)[: size + _shape_count(levels, support)]
    _require(len(known) == size + _shape_count(levels, support))
    odds, shapes = known[:size].astype(np.int32), known[size:].astype(np.int32)
    _require(odds.min() > 0 and odds.max() == shapes.max() == MAX_ODDS)
    tables = MultisetTables(odds, shapes, support, levels)
    decoder = SymbolDecoder(data[_HEADER.size + len(known) :], _least(count * levels))
    indices = tables.decode(decoder, count)
    decoder.finish()
    return tables, indices


def _least(indices: int) -> int:
    return -(-indices // INDICES_PER_BYTE)


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))


def _odds(weights: NDArray[Any]) -> NDArray[np.int32]:
    """Weights as integers of at most MAX_ODDS, the largest; 0 for those that never occur."""
    if not weights.any():
        weights = np.ones_like(weights)
    integers = np.rint(weights * (MAX_ODDS / weights.max())).astype(np.int32)
    return np.maximum(integers, weights > 0)


def _shared(weights: NDArray[np.int64]) -> NDArray[np.int32]:
    """TOTAL shared among weights: one for each, the rest by their size, what is left over to the first of
    the largest.
    """
    counts = 1 + weights * (TOTAL - len(weights)) // weights.sum()
    counts[counts.argmax()] += TOTAL - counts.sum()
    return counts.astype(np.int32)


def _sums_from(values: list[int]) -> list[int]:
    """The sum of the values from each place on, and 0 at the end."""
    return [*accumulate(reversed(values), initial=0)][::-1]


def _starts(indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where an index differs from the one before it (n, levels); the first always does."""
    return np.diff(indices, axis=1, prepend=-1) != 0


def _shapes(starts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The symbol of each shape: bit l says that index l + 1 differs from index l."""
    return starts[:, 1:] @ (1 << np.arange(starts.shape[1] - 1))


def _possible_shapes(levels: int, support: int) -> NDArray[np.int64]:
    """The shapes of less than `support` changes, ascending."""
    shapes = np.arange(1 << (levels - 1))
    changes = sum(shapes >> place & 1 for place in range(levels - 1))
    return shapes[np.broadcast_to(changes < support, shapes.shape)]


def _shape_count(levels: int, support: int) -> int:
    """How many those are."""
    return sum(comb(levels - 1, changes) for changes in range(support))


def _checked(indices: ArrayLike, codebook_size: int, support: int) -> NDArray[np.int64]:
    rows = np.asarray(indices)
    if rows.ndim != 2 or not 1 <= rows.shape[1] <= MAX_LEVELS or not np.issubdtype(rows.dtype, np.integer):
        raise InvalidInputError(
            f"Indices are {rows.dtype} of shape {rows.shape}: expected integers (n, levels) with at most "
            f"{MAX_LEVELS} levels."
        )
    ascending = (np.diff(rows, axis=1) >= 0).all()
    if rows.size and not (ascending and rows[:, 0].min() >= 0 and rows[:, -1].max() < codebook_size):
        raise InvalidInputError(f"Indices must ascend along a row, from 0 to {codebook_size - 1} at most.")
    if rows.size and _starts(rows).sum(1).max() > support:
        raise InvalidInputError(f"A code names more than {support} different code vectors.")
    return rows.astype(np.int64)


def _require(holds: bool | NDArray[np.bool_]) -> None:
    if not np.all(holds):
        raise CorruptFileError("These indices or their tables cannot be: the file is damaged.")
