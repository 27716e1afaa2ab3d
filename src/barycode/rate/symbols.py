"""Arrays of integers to bytes and back, under integer frequency tables.

The range coder is constriction's. What it makes of its floats is pinned so that none matters: for a row of counts c_k it
is given the floats c_k - 1, which sum to 2**24 - A. Its conversion of A probabilities p_k is
`left_k = floor(sum_{j<k} p_j * (2**24 - A) / sum(p)) + k`: here the factor is exactly 1 and every sum an integer below 2**24, exact
in float32 in any order, so the coder works with the cumulative counts themselves. tests/rate holds an independent decoder.
"""

from collections.abc import Iterator

import constriction
import numpy as np
from numpy.typing import ArrayLike, NDArray

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.rate.tables import PRECISION, FrequencyTables

MAX_UNIFORM_BITS = 32
LIMB = 16  # wider uniform integers are coded in two parts
MAX_MAGNITUDE = 2**30  # of a signed value, so that every int32 consumer is safe
_WORD = np.dtype("<u4")

_queue = constriction.stream.queue
_model = constriction.stream.model
_family = _model.Categorical(perfect=False)

Model = object
Group = tuple[NDArray[np.float32], slice]


def _escape_lengths() -> FrequencyTables:
    """Probability 2**-(n+1) for an escape of n bits, as far as the precision goes; the first takes what is left."""
    counts = 2 ** np.maximum(PRECISION - 1 - np.arange(32), 0)
    counts[0] += 2**PRECISION - counts.sum()
    return FrequencyTables(counts[None].astype(np.int32))


_ESCAPES = _escape_lengths()


class SymbolEncoder:
    """Collects symbols; `finish` gives the bytes. The decoder must be asked in the same order with the same arguments."""

    def __init__(self) -> None:
        self._coder = _queue.RangeEncoder()

    def encode(self, symbols: ArrayLike, tables: FrequencyTables, rows: ArrayLike) -> None:
        """Append symbols (n,) in 0 ... A - 1, each under its own row (n,) of the tables.

        Raises InvalidInputError for a symbol or a row that the tables do not have.
        """
        rows = _rows(rows, tables)
        symbols = np.asarray(symbols)
        _require_range(symbols, 0, tables.counts.shape[1] - 1, rows.shape)
        order = _order(rows, tables)
        sorted_symbols = symbols[order].astype(np.int32)
        if _scattered(rows, tables):
            self._coder.encode(sorted_symbols, _family, _floats(tables, rows[order]))
            return
        for row, part in _groups(rows[order]):
            self._coder.encode(sorted_symbols[part], _categorical(tables, row))

    def encode_signed(self, values: ArrayLike, tables: FrequencyTables, rows: ArrayLike) -> None:
        """Append signed integers (n,) under tables of 2 L + 1 symbols for -L ... L.

        The two ends stand for every value at or beyond them; the excess |v| - L follows as an Exp-Golomb code.
        """
        limit = _limit(tables)
        values = np.asarray(values)
        _require_range(values, -MAX_MAGNITUDE, MAX_MAGNITUDE, np.shape(rows))
        values = values.astype(np.int64)
        self.encode(values.clip(-limit, limit) + limit, tables, rows)
        excess = np.abs(values) - limit
        self._encode_naturals(excess[excess >= 0])

    def encode_uniform(self, values: ArrayLike, bits: int) -> None:
        """Append integers (n,) in 0 ... 2**bits - 1 at `bits` bits each; bits from 0 to 32."""
        _require_bits(bits)
        values = np.asarray(values)
        _require_range(values, 0, 2**bits - 1, values.shape[:1])
        for shift, width in _limbs(bits):
            limb = (values.astype(np.int64) >> shift) & (2**width - 1)
            self._coder.encode(limb.astype(np.int32), _model.Uniform(2**width))

    def finish(self) -> bytes:
        """The bytes of everything so far: little-endian words without their last zero bytes."""
        words = self._coder.get_compressed()
        return words.astype(_WORD).tobytes().rstrip(b"\0")

    def _encode_naturals(self, values: NDArray[np.int64]) -> None:
        lengths = _bit_lengths(values + 1) - 1
        self.encode(lengths, _ESCAPES, np.zeros_like(lengths))
        for length, where in _by_length(lengths):
            self.encode_uniform(values[where] + 1 - (1 << length), length)


class SymbolDecoder:
    """Reads what a SymbolEncoder wrote; every size comes from the caller, never from the data."""

    def __init__(self, data: bytes) -> None:
        words = np.frombuffer(bytes(data) + bytes(-len(data) % _WORD.itemsize), _WORD)
        self._coder = _queue.RangeDecoder(words.astype(np.uint32))

    def decode(self, tables: FrequencyTables, rows: ArrayLike) -> NDArray[np.int32]:
        """The next symbols, int32 (n,), one for each row (n,)."""
        rows = _rows(rows, tables)
        order = _order(rows, tables)
        symbols = np.empty(rows.shape, np.int32)
        if _scattered(rows, tables):
            symbols[order] = self._decode(_family, _floats(tables, rows[order]))
            return symbols
        found = np.empty(rows.shape, np.int32)
        for row, part in _groups(rows[order]):
            found[part] = self._decode(_categorical(tables, row), part.stop - part.start)
        symbols[order] = found
        return symbols

    def decode_signed(self, tables: FrequencyTables, rows: ArrayLike) -> NDArray[np.int32]:
        """The next signed integers, int32 (n,), one for each row (n,)."""
        limit = _limit(tables)
        values = self.decode(tables, rows) - np.int32(limit)
        escaped = np.flatnonzero(np.abs(values) == limit)
        excess = self._decode_naturals(escaped.size)
        if excess.size and excess.max() > MAX_MAGNITUDE - limit:
            raise CorruptFileError("A coded value is beyond the limit: the file is damaged.")
        values[escaped] += (np.sign(values[escaped]) * excess).astype(np.int32)
        return values

    def decode_uniform(self, count: int, bits: int) -> NDArray[np.int64]:
        """The next `count` integers of `bits` bits, int64 (count,)."""
        _require_bits(bits)
        values = np.zeros(count, np.int64)
        for shift, width in _limbs(bits):
            values |= self._decode(_model.Uniform(2**width), count).astype(np.int64) << shift
        return values

    def finish(self) -> None:
        """Raise CorruptFileError when there is certainly more data than was read."""
        if not self._coder.maybe_exhausted():
            raise CorruptFileError(
                "The coded symbols go on after the last one that was expected: the file is damaged."
            )

    def _decode(self, model: Model, argument: int | NDArray[np.float32]) -> NDArray[np.int32]:
        try:
            return self._coder.decode(model, argument)
        except (AssertionError, ValueError) as error:
            raise CorruptFileError(
                "The coded symbols are not what an encoder writes: the file is damaged."
            ) from error

    def _decode_naturals(self, count: int) -> NDArray[np.int64]:
        lengths = self.decode(_ESCAPES, np.zeros(count, np.int64)).astype(np.int64)
        values = np.zeros(count, np.int64)
        for length, where in _by_length(lengths):
            values[where] = self.decode_uniform(where.size, length) + (1 << length) - 1
        return values


def _floats(tables: FrequencyTables, rows: int | NDArray[np.int64]) -> NDArray[np.float32]:
    return (tables.counts[rows] - 1).astype(np.float32)


def _categorical(tables: FrequencyTables, row: int) -> Model:
    return _model.Categorical(_floats(tables, row), perfect=False, lazy=False)


def _rows(rows: ArrayLike, tables: FrequencyTables) -> NDArray[np.int64]:
    array = np.asarray(rows)
    _require_range(array, 0, len(tables.counts) - 1, array.shape[:1])
    return array


def _order(rows: NDArray[np.int64], tables: FrequencyTables) -> NDArray[np.int64]:
    """Positions by row, stable: the order in which one call is coded. Short keys make it a radix sort."""
    key = np.uint16 if len(tables.counts) <= 2**16 else np.int64
    return np.argsort(rows.astype(key), kind="stable")


def _groups(rows: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """(row, where it is) of each run of equal rows."""
    if not rows.size:
        return
    starts = np.flatnonzero(np.diff(rows, prepend=-1)).tolist()
    for start, stop in zip(starts, [*starts[1:], rows.size], strict=True):
        yield int(rows[start]), slice(start, stop)


def _scattered(rows: NDArray[np.int64], tables: FrequencyTables) -> bool:
    """Whether so few symbols share a row that one call with a table for each symbol is the faster way to the same bytes."""
    return rows.size < 64


def _limbs(bits: int) -> Iterator[tuple[int, int]]:
    """(shift, width) of the parts of a uniform integer, low part first."""
    return ((shift, min(LIMB, bits - shift)) for shift in range(0, bits, LIMB))


def _bit_lengths(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bits of positive integers below 2**53: frexp is exact there."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def _by_length(lengths: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(length, positions) of each length that is there, 0 apart: it has no bits to code."""
    for length in np.unique(lengths[lengths > 0]).tolist():
        yield length, np.flatnonzero(lengths == length)


def _limit(tables: FrequencyTables) -> int:
    symbols = tables.counts.shape[1]
    if symbols % 2 == 0:
        raise InvalidInputError(f"Tables of {symbols} symbols cannot hold -L ... L: expected an odd number.")
    return symbols // 2


def _require_bits(bits: int) -> None:
    if not 0 <= bits <= MAX_UNIFORM_BITS:
        raise InvalidInputError(f"Uniform integers of {bits} bits: expected 0 to {MAX_UNIFORM_BITS}.")


def _require_range(values: NDArray[np.int64], low: int, high: int, shape: tuple[int, ...]) -> None:
    if values.shape != shape or values.ndim != 1:
        raise InvalidInputError(
            f"Symbols have shape {values.shape}, expected one dimension as long as their rows: {shape}."
        )
    if values.size and not (
        np.issubdtype(values.dtype, np.integer) and low <= values.min() and values.max() <= high
    ):
        raise InvalidInputError(
            f"Symbols or rows are not integers from {low} to {high}: they do not fit their tables."
        )
