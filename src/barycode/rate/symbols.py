"""Arrays of integers to bytes and back, under integer frequency tables.

The symbols of one call are sorted by row, so that the coder is asked once a row and not once a symbol; the
decoder is told the rows of a call beforehand and does the same. docs/format.md defines the bytes.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.rate.range_coder import Decoder, Encoder, RangeDecoder, RangeEncoder
from barycode.rate.tables import PRECISION, FrequencyTables

MAX_UNIFORM_BITS = 32
LIMB = 16  # wider uniform integers are coded in two parts
MAX_MAGNITUDE = 2**30  # of a signed value, so that int32 holds it and its escape


def _escape_lengths() -> FrequencyTables:
    """Probability 2**-(n+1) for an escape of n bits while the precision lasts; n = 0 takes the rest."""
    counts = 2 ** np.maximum(PRECISION - 1 - np.arange(31), 0)
    counts[0] += 2**PRECISION - counts.sum()
    return FrequencyTables(counts[None].astype(np.int32))


_ESCAPES = _escape_lengths()
ESCAPE_STARTS = np.append(0, np.cumsum(_ESCAPES.counts[0], dtype=np.int64))


class SymbolEncoder:
    """Collects symbols; `finish` gives the bytes. A decoder makes the same calls with the same tables."""

    def __init__(self, coder: Encoder | None = None) -> None:
        self._coder = coder or RangeEncoder()

    def encode(self, symbols: ArrayLike, tables: FrequencyTables, rows: ArrayLike) -> None:
        """Append symbols (n,) in 0 ... A - 1, each under its own row (n,) of the tables.

        Raises InvalidInputError for a symbol or a row that the tables do not have.
        """
        rows = _checked(rows, "Rows", len(tables))
        symbols = _checked(symbols, "Symbols", tables.alphabet)
        if symbols.shape != rows.shape:
            raise InvalidInputError(f"{symbols.size} symbols come with {rows.size} rows: expected as many.")
        order = _coding_order(rows, tables)
        self._coder.encode(symbols[order].astype(np.int32), tables.counts, rows[order])

    def encode_signed(self, values: ArrayLike, tables: FrequencyTables, rows: ArrayLike) -> None:
        """Append signed integers (n,) under tables of 2 L + 1 symbols for -L ... L.

        The two ends stand for every value at or beyond them; the excess |v| - L follows as an Exp-Golomb
        code.
        """
        limit = _limit(tables)
        values = _checked(values, "Values", MAX_MAGNITUDE + 1, -MAX_MAGNITUDE).astype(np.int64)
        self.encode(values.clip(-limit, limit) + limit, tables, rows)
        excess = np.abs(values) - limit
        self._encode_naturals(excess[excess >= 0])

    def encode_uniform(self, values: ArrayLike, bits: int) -> None:
        """Append integers (n,) in 0 ... 2**bits - 1 at `bits` bits each, for `bits` from 0 to 32."""
        limbs = _limbs(bits)
        values = _checked(values, "Values", 2**bits).astype(np.int64)
        for shift, width in limbs:
            self._coder.encode_uniform((values >> shift & 2**width - 1).astype(np.int32), width)

    def finish(self, least: int = 0) -> bytes:
        """The bytes of everything so far; zeros behind them where they would be fewer than `least`."""
        return self._coder.ended().ljust(least, b"\0")

    def _encode_naturals(self, values: NDArray[np.int64]) -> None:
        lengths = _bit_lengths(values + 1) - 1
        self.encode(lengths, _ESCAPES, np.zeros_like(lengths))
        for length, places in _by_length(lengths):
            self.encode_uniform(values[places] + 1 - (1 << length), length)


class SymbolDecoder:
    """Reads what a SymbolEncoder wrote. Every size comes from the caller, none from the data.

    Damaged data raises CorruptFileError or, where the coder cannot know, gives wrong symbols within their
    range: the checksum of the section around it comes first. `least` is the number of bytes that data of
    their kind have at least, so that a few bytes cannot ask for much work.
    """

    def __init__(self, data: bytes, least: int = 0, coder: Decoder | None = None) -> None:
        require_least(data, least)
        self._data = data
        self._least = least
        self._coder = coder or RangeDecoder(data)

    def decode(self, tables: FrequencyTables, rows: ArrayLike) -> NDArray[np.int32]:
        """The next symbols, int32 (n,), one for each row (n,)."""
        rows = _checked(rows, "Rows", len(tables))
        order = _coding_order(rows, tables)
        symbols = np.empty(rows.size, np.int32)
        for part, found in self._coder.decode(tables.counts, rows[order]):
            symbols[order[part]] = found
        return symbols

    def decode_signed(self, tables: FrequencyTables, rows: ArrayLike) -> NDArray[np.int32]:
        """The next signed integers, int32 (n,), one for each row (n,)."""
        limit = _limit(tables)
        values = self.decode(tables, rows)
        values -= np.int32(limit)
        escaped = np.flatnonzero(np.abs(values) == limit)
        excess = self._decode_naturals(escaped.size)
        if excess.size and excess.max() > MAX_MAGNITUDE - limit:
            raise CorruptFileError("A coded value is beyond the limit: the file is damaged.")
        values[escaped] += (np.sign(values[escaped]) * excess).astype(np.int32)
        return values

    def decode_uniform(self, count: int, bits: int) -> NDArray[np.int64]:
        """The next `count` integers of `bits` bits, int64 (count,)."""
        values = np.zeros(count, np.int64)
        for shift, width in _limbs(bits):
            values |= self._coder.decode_uniform(count, width).astype(np.int64) << shift
        return values

    def finish(self) -> None:
        """Raise CorruptFileError unless the data are exactly what an encoder writes for the symbols read."""
        if self._coder.ended().ljust(self._least, b"\0") != self._data:
            raise CorruptFileError(
                "The coded symbols do not end as an encoder ends them: the file is damaged, or has more of "
                "them than it has places for."
            )

    def _decode_naturals(self, count: int) -> NDArray[np.int64]:
        lengths = self.decode(_ESCAPES, np.zeros(count, np.int64)).astype(np.int64)
        values = np.zeros(count, np.int64)
        for length, places in _by_length(lengths):
            values[places] = self.decode_uniform(places.size, length) + (1 << length) - 1
        return values


def require_least(data: bytes, least: int) -> None:
    """Raise CorruptFileError for coded symbols of fewer bytes: a check before any work."""
    if len(data) < least:
        raise CorruptFileError(
            f"The coded symbols are {len(data)} bytes, and what they claim to hold takes at least {least}: "
            "the file is damaged or hostile."
        )


def _coding_order(rows: NDArray[np.int64], tables: FrequencyTables) -> NDArray[np.int64]:
    """Places by row, stable. Keys of at most 16 bits make it a radix sort."""
    small = np.uint8 if len(tables) <= 2**8 else np.uint16
    return np.argsort(rows.astype(small if len(tables) <= 2**16 else np.int64, copy=False), kind="stable")


def _limbs(bits: int) -> list[tuple[int, int]]:
    """(shift, width) of the parts of a uniform integer, low part first."""
    if not 0 <= bits <= MAX_UNIFORM_BITS:
        raise InvalidInputError(f"Uniform integers have {bits} bits: expected 0 to {MAX_UNIFORM_BITS}.")
    return [(shift, min(LIMB, bits - shift)) for shift in range(0, bits, LIMB)]


def _bit_lengths(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bits of positive integers below 2**53: frexp is exact there."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def _by_length(lengths: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(length, places) of each length that occurs, save 0, which has no bits to code."""
    for length in np.unique(lengths[lengths > 0]).tolist():
        yield length, np.flatnonzero(lengths == length)


def _limit(tables: FrequencyTables) -> int:
    if tables.alphabet % 2 == 0:
        raise InvalidInputError(f"Tables of {tables.alphabet} symbols cannot hold -L ... L: it must be odd.")
    return tables.alphabet // 2


def _checked(values: ArrayLike, name: str, stop: int, start: int = 0) -> NDArray[Any]:
    """One-dimensional integers in start ... stop - 1."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise InvalidInputError(f"{name} are {array.dtype} of shape {array.shape}: expected integers (n,).")
    if array.size and (array.min() < start or array.max() >= stop):
        raise InvalidInputError(
            f"{name} run from {array.min()} to {array.max()}: expected {start} to {stop - 1}."
        )
    return array
