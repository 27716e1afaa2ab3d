"""Arrays of integers to bytes and back, under integer frequency tables.

The symbols of one call are sorted by row, so that the coder is asked once a row and not once a symbol; the
decoder is told the rows of a call beforehand and does the same. docs/format.md defines the bytes.

The range coder is constriction's, and it takes probabilities as floats. They are chosen so that nothing is
rounded: a row of counts c_k is handed over as p_k = c_k - 1, which adds up to 2**24 - A. With `perfect=False`
the coder starts symbol k at `floor((p_0 + ... + p_{k-1}) * (2**24 - A) / sum(p)) + k`. The factor is exactly
1 and every sum is an integer that float32 holds, so symbol k starts at c_0 + ... + c_{k-1}: integers in,
integers out, on every machine.

The bytes are one fraction, most significant byte first. Of all that decode to the symbols, the encoder takes
the shortest, and of those the smallest; the decoder encodes again what it reads and refuses any other.
"""

from collections.abc import Iterator
from typing import Any

import constriction
import numpy as np
from numpy.typing import ArrayLike, NDArray

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.rate.tables import PRECISION, FrequencyTables

MAX_UNIFORM_BITS = 32
LIMB = 16  # wider uniform integers are coded in two parts
MAX_MAGNITUDE = 2**30  # of a signed value, so that int32 holds it and its escape
SCATTERED = 32  # symbols a row below which a table for each symbol is faster than a request for each row
SCATTERED_ENTRIES = 2**21  # ... as long as those tables stay small
_WORD = np.dtype(">u4")
_WINDOW = 8  # bytes of the coder's state
_SEAL = 2**32 - 1  # the coder's own ending is the word of its lower end plus this

_queue = constriction.stream.queue
_model = constriction.stream.model
_table_each = _model.Categorical(perfect=False)

Request = tuple[slice, Any, tuple[NDArray[np.float32], ...]]


def _escape_lengths() -> FrequencyTables:
    """Probability 2**-(n+1) for an escape of n bits while the precision lasts; n = 0 takes the rest."""
    counts = 2 ** np.maximum(PRECISION - 1 - np.arange(31), 0)
    counts[0] += 2**PRECISION - counts.sum()
    return FrequencyTables(counts[None].astype(np.int32))


_ESCAPES = _escape_lengths()


class SymbolEncoder:
    """Collects symbols; `finish` gives the bytes. A decoder makes the same calls with the same tables."""

    def __init__(self) -> None:
        self._coder = _queue.RangeEncoder()

    def encode(self, symbols: ArrayLike, tables: FrequencyTables, rows: ArrayLike) -> None:
        """Append symbols (n,) in 0 ... A - 1, each under its own row (n,) of the tables.

        Raises InvalidInputError for a symbol or a row that the tables do not have.
        """
        rows = _checked(rows, "Rows", len(tables))
        symbols = _checked(symbols, "Symbols", tables.alphabet)
        if symbols.shape != rows.shape:
            raise InvalidInputError(f"{symbols.size} symbols come with {rows.size} rows: expected as many.")
        order = _coding_order(rows, tables)
        ordered = symbols[order].astype(np.int32)
        for part, model, parameters in _requests(tables, rows[order]):
            self._coder.encode(ordered[part], model, *parameters)

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
            self._coder.encode((values >> shift & 2**width - 1).astype(np.int32), _model.Uniform(2**width))

    def finish(self, least: int = 0) -> bytes:
        """The bytes of everything so far; zeros behind them where they would be fewer than `least`."""
        return _ended(self._coder).ljust(least, b"\0")

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

    def __init__(self, data: bytes, least: int = 0) -> None:
        require_least(data, least)
        self._data = data
        self._least = least
        words = np.frombuffer(data + bytes(-len(data) % _WORD.itemsize), _WORD)
        self._coder = _queue.RangeDecoder(words.astype(np.uint32))
        self._again = _queue.RangeEncoder()

    def decode(self, tables: FrequencyTables, rows: ArrayLike) -> NDArray[np.int32]:
        """The next symbols, int32 (n,), one for each row (n,)."""
        rows = _checked(rows, "Rows", len(tables))
        order = _coding_order(rows, tables)
        symbols = np.empty(rows.size, np.int32)
        for part, model, parameters in _requests(tables, rows[order]):
            symbols[order[part]] = self._read(model, *(parameters or (part.stop - part.start,)))
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
            values |= self._read(_model.Uniform(2**width), count).astype(np.int64) << shift
        return values

    def finish(self) -> None:
        """Raise CorruptFileError unless the data are exactly what an encoder writes for the symbols read."""
        if _ended(self._again).ljust(self._least, b"\0") != self._data:
            raise CorruptFileError(
                "The coded symbols do not end as an encoder ends them: the file is damaged, or has more of "
                "them than it has places for."
            )

    def _read(self, model: Any, *amount: Any) -> NDArray[np.int32]:
        """Symbols of a model, so many; or of a family of models, one for each row of its parameters."""
        try:
            symbols = np.asarray(self._coder.decode(model, *amount), np.int32)
        except (AssertionError, ValueError) as error:
            raise CorruptFileError("No encoder writes these coded symbols: the file is damaged.") from error
        parameters = [each for each in amount if isinstance(each, np.ndarray)]
        self._again.encode(symbols, model, *parameters)
        return symbols

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


def _ended(coder: Any) -> bytes:
    """The bytes of a RangeEncoder: of all fractions within its last interval, the shortest and smallest."""
    complete, (lower, width) = coder.pos()
    before = coder.get_compressed()[:complete].astype(_WORD).tobytes()
    size, point = next(
        (size, point)
        for size in range(_WINDOW + 1)
        if (point := -(-lower >> 8 * (_WINDOW - size)) << 8 * (_WINDOW - size)) < lower + width
    )
    carried = (lower + _SEAL) >> 8 * _WINDOW  # what the coder's own ending has added to the words before
    if point >> 8 * _WINDOW > carried:
        before = (int.from_bytes(before) + 1).to_bytes(len(before))
    last = (point % (1 << 8 * _WINDOW)).to_bytes(_WINDOW)[:size]
    return (before + last).rstrip(b"\0")


def _coding_order(rows: NDArray[np.int64], tables: FrequencyTables) -> NDArray[np.int64]:
    """Places by row, stable. Keys of at most 16 bits make it a radix sort."""
    small = np.uint8 if len(tables) <= 2**8 else np.uint16
    return np.argsort(rows.astype(small if len(tables) <= 2**16 else np.int64, copy=False), kind="stable")


def _requests(tables: FrequencyTables, rows: NDArray[np.int64]) -> Iterator[Request]:
    """(places, model, parameters) of the calls that code sorted rows; either way gives the same bytes."""
    if not rows.size:
        return
    starts = [0, *(np.flatnonzero(rows[1:] != rows[:-1]) + 1).tolist()]
    if rows.size < SCATTERED * len(starts) and rows.size * tables.alphabet <= SCATTERED_ENTRIES:
        yield slice(0, rows.size), _table_each, (_floats(tables.counts[rows]),)
        return
    each = _floats(tables.counts[rows[starts]])
    for start, stop, probabilities in zip(starts, [*starts, rows.size][1:], each, strict=True):
        yield slice(start, stop), _model.Categorical(probabilities, perfect=False, lazy=False), ()


def _floats(counts: NDArray[np.int32]) -> NDArray[np.float32]:
    return (counts - 1).astype(np.float32)


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
