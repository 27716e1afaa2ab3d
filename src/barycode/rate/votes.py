"""Sparse convex codes as bytes: few code vectors in no order, with weights that are multiples of 1 / L.

A code is L votes in ascending order, such as 3 3 7. Its *shape* is the set of places where the vote changes;
its *support* is the set of vectors voted for. The shape is a symbol. A support of t vectors has a probability
proportional to the product of their odds, and is coded in ascending order: with e_m(j) the sum of the
products of all sets of m vectors from j on, the next of m vectors is a >= j with probability
odds_a e_{m-1}(a + 1) / e_m(j). So nothing is spent on an order. docs/format.md defines the bytes.
"""

import struct
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.rate.symbols import SymbolDecoder, SymbolEncoder
from barycode.rate.tables import TOTAL, FrequencyTables

MAX_ODDS = 255
MAX_CODEBOOK, MAX_LEVELS = 2**11, 16
MAX_VOTES = 2**25  # of one record
_HEADER = struct.Struct("<HBB")
_COUNTS = struct.Struct("<II")


@dataclass(frozen=True, eq=False)
class VoteTables:
    """What coding votes (n, levels) over a codebook needs to know, all of it integers.

    odds: int32 (K,), 1 ... MAX_ODDS, how likely each code vector is to be in a support.
    shapes: one table of 2**(levels - 1) symbols; None where levels = 1.
    support: the most code vectors of a code.
    """

    odds: NDArray[np.int32]
    shapes: FrequencyTables | None
    support: int

    def __post_init__(self) -> None:
        if not 1 <= self.support <= min(self.levels, len(self.odds)) or len(self.odds) > MAX_CODEBOOK:
            raise InvalidInputError(
                f"Votes have a support of 1 to {min(self.levels, len(self.odds))} of at most {MAX_CODEBOOK} "
                f"code vectors, not {self.support} of {len(self.odds)}."
            )

    @classmethod
    def fit(cls, votes: ArrayLike, codebook_size: int, support: int) -> "VoteTables":
        """The tables for codes like these (n, levels): their histograms, one of everything added."""
        rows = _checked(votes, codebook_size, support)
        starts = _starts(rows)
        chosen = np.bincount(rows[starts], minlength=codebook_size)
        share = (chosen + 1) / (len(rows) + 2)  # of the codes that have the vector
        odds = share / (1 - share)
        integers = np.rint(odds * (MAX_ODDS / odds.max())).astype(np.int32)
        shapes = np.bincount(_shapes(starts), minlength=_shape_count(rows.shape[1]))
        return cls(np.maximum(integers, 1), _shape_table(shapes, support), min(support, codebook_size))

    @property
    def levels(self) -> int:
        """L, how many votes a code has."""
        return 1 if self.shapes is None else self.shapes.alphabet.bit_length()

    def encode(self, encoder: SymbolEncoder, votes: ArrayLike) -> None:
        """Append votes (n, levels), each row ascending. Raises InvalidInputError for any others."""
        rows = _checked(votes, len(self.odds), self.support)
        if rows.shape[1] != self.levels:
            raise InvalidInputError(
                f"Codes have {rows.shape[1]} votes, but the tables are for {self.levels}."
            )
        starts = _starts(rows)
        if self.shapes is not None:
            encoder.encode(_shapes(starts), self.shapes, np.zeros(len(rows), np.int64))
        sizes = starts.sum(1)
        support = np.zeros((len(rows), self.support), np.int64)
        support[np.nonzero(starts)[0], (starts.cumsum(1) - 1)[starts]] = rows[starts]
        first = np.zeros(len(rows), np.int64)
        for left in self._countdown():
            active = np.flatnonzero(sizes >= left)
            chosen = support[active, sizes[active] - left]
            encoder.encode(chosen, self._next_tables(left), first[active])
            first[active] = chosen + 1

    def decode(self, decoder: SymbolDecoder, count: int) -> NDArray[np.int64]:
        """The next votes, int64 (count, levels). Raises CorruptFileError for codes that cannot be."""
        starts = np.zeros((count, self.levels), bool)
        starts[:, 0] = True
        if self.shapes is not None:
            shapes = decoder.decode(self.shapes, np.zeros(count, np.int64))
            starts[:, 1:] = shapes[:, None] >> np.arange(self.levels - 1) & 1
        sizes = starts.sum(1)
        _require(sizes <= self.support)
        support = np.zeros((count, self.support), np.int64)
        first = np.zeros(count, np.int64)
        for left in self._countdown():
            active = np.flatnonzero(sizes >= left)
            chosen = decoder.decode(self._next_tables(left), first[active]).astype(np.int64)
            _require((chosen >= first[active]) & (chosen <= len(self.odds) - left))
            support[active, sizes[active] - left] = chosen
            first[active] = chosen + 1
        return np.take_along_axis(support, starts.cumsum(1) - 1, 1)

    def to_bytes(self) -> bytes:
        """K, support and levels, the odds in a byte each, and the table of shapes."""
        head = _HEADER.pack(len(self.odds), self.support, self.levels)
        return head + self.odds.astype(np.uint8).tobytes() + (self.shapes.to_bytes() if self.shapes else b"")

    @classmethod
    def from_bytes(cls, data: bytes) -> "VoteTables":
        """What `to_bytes` wrote; CorruptFileError for anything else."""
        if len(data) < _HEADER.size:
            raise CorruptFileError("The vote tables are truncated: the file is damaged.")
        size, support, levels = _HEADER.unpack_from(data)
        odds = np.frombuffer(data, np.uint8, offset=_HEADER.size)[:size].astype(np.int32)
        rest = data[_HEADER.size + size :]
        shapes = FrequencyTables.from_bytes(rest) if levels > 1 else None
        _require(len(odds) == size and bool((odds > 0).all()))
        _require(1 <= support <= min(levels, size) and size <= MAX_CODEBOOK and (levels > 1 or not rest))
        _require(shapes is None or (len(shapes), shapes.alphabet) == (1, _shape_count(levels)))
        return cls(odds, shapes, support)

    def _countdown(self) -> range:
        """How many vectors a support may still need; one code vector alone needs no symbol."""
        return range(self.support if len(self.odds) > 1 else 0, 0, -1)

    def _next_tables(self, left: int) -> FrequencyTables:
        """Row j: the next of `left` more vectors of a support, all of them from j on."""
        odds: list[int] = self.odds.tolist()
        mass = [1] * (len(odds) + 1)  # e_{left - 1} of the odds from each place on
        for _ in range(left - 1):
            mass = _sums_from([odd * after for odd, after in zip(odds, mass[1:], strict=True)])
        weights = [odd * after for odd, after in zip(odds, mass[1:], strict=True)]
        totals = _sums_from(weights)
        counts = np.ones((len(odds), len(odds)), np.int64)
        for start in range(len(odds) - left + 1):
            budget = TOTAL - len(odds)
            counts[start, start:] += [weight * budget // totals[start] for weight in weights[start:]]
        counts[np.arange(len(odds)), counts.argmax(1)] += TOTAL - counts.sum(1)
        return FrequencyTables(counts.astype(np.int32))


def pack_votes(votes: ArrayLike, codebook_size: int, support: int) -> bytes:
    """A whole record of codes (n, levels): their number, their own tables, and the coded votes."""
    rows = np.asarray(votes)
    tables = VoteTables.fit(rows, codebook_size, support)
    if rows.size > MAX_VOTES:
        raise InvalidInputError(f"{rows.size} votes are too many for one record: at most {MAX_VOTES} fit.")
    encoder = SymbolEncoder()
    tables.encode(encoder, rows)
    head = tables.to_bytes()
    return _COUNTS.pack(len(rows), len(head)) + head + encoder.finish()


def unpack_votes(data: bytes) -> tuple[VoteTables, NDArray[np.int64]]:
    """The tables and the codes of a record; CorruptFileError for anything that `pack_votes` did not write."""
    _require(len(data) >= _COUNTS.size)
    count, size = _COUNTS.unpack_from(data)
    tables = VoteTables.from_bytes(data[_COUNTS.size : _COUNTS.size + size])
    _require(count * tables.levels <= MAX_VOTES and len(data) >= _COUNTS.size + size)
    decoder = SymbolDecoder(data[_COUNTS.size + size :])
    votes = tables.decode(decoder, count)
    decoder.finish()
    return tables, votes


def _sums_from(values: list[int]) -> list[int]:
    """The sum of the values from each place on, and 0 at the end."""
    return [*accumulate(reversed(values), initial=0)][::-1]


def _starts(votes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a vote differs from the one before it (n, levels); the first always does."""
    return np.diff(votes, axis=1, prepend=-1) != 0


def _shapes(starts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The symbol of each shape: bit l says that vote l + 1 differs from vote l."""
    return starts[:, 1:] @ (1 << np.arange(starts.shape[1] - 1))


def _shape_count(levels: int) -> int:
    return 1 << (levels - 1)


def _shape_table(histogram: NDArray[np.int64], support: int) -> FrequencyTables | None:
    """A table of the shapes, one of each that can be added to the histogram; None for the only shape."""
    if len(histogram) == 1:
        return None
    changes = np.array([shape.bit_count() for shape in range(len(histogram))])
    return FrequencyTables.from_counts((histogram + (changes < support))[None])


def _checked(votes: ArrayLike, codebook_size: int, support: int) -> NDArray[np.int64]:
    rows = np.asarray(votes)
    if rows.ndim != 2 or not 1 <= rows.shape[1] <= MAX_LEVELS or not np.issubdtype(rows.dtype, np.integer):
        raise InvalidInputError(
            f"Votes are {rows.dtype} of shape {rows.shape}: expected integers (n, levels) with at most "
            f"{MAX_LEVELS} levels."
        )
    ascending = (np.diff(rows, axis=1) >= 0).all()
    if rows.size and not (ascending and rows[:, 0].min() >= 0 and rows[:, -1].max() < codebook_size):
        raise InvalidInputError(f"Votes must ascend along a row, from 0 to {codebook_size - 1} at most.")
    if rows.size and _starts(rows).sum(1).max() > support:
        raise InvalidInputError(f"A code votes for more than {support} different code vectors.")
    return rows.astype(np.int64)


def _require(holds: bool | NDArray[np.bool_]) -> None:
    if not np.all(holds):
        raise CorruptFileError("These votes or their tables cannot be: the file is damaged.")
