"""The range coder: symbols of rows of counts, sorted by row, to one fraction in base 256 and back.

Of all fractions that decode to the symbols, an encoder takes the shortest, and of those the smallest.

The coder is constriction's, and it takes probabilities as floats. They are chosen so that nothing is
rounded: a row of counts c_k is handed over as p_k = c_k - 1, which adds up to 2**24 - A. With `perfect=False`
the coder starts symbol k at `floor((p_0 + ... + p_{k-1}) * (2**24 - A) / sum(p)) + k`. The factor is exactly
1 and every sum is an integer that float32 holds, so symbol k starts at c_0 + ... + c_{k-1}: integers in,
integers out, on every machine. `compiled_range_coder` writes the same bytes.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from barycode.errors import CorruptFileError

Symbols = NDArray[np.int32]
Counts = NDArray[np.int32]  # (T, A), every row sums to 2**24
Rows = NDArray[np.int64]  # (n,), ascending

WORD = np.dtype(">u4")
WINDOW = 8  # bytes of the coder's state
SCATTERED = 32  # symbols a row below which a table for each symbol is faster than a request for each row
SCATTERED_ENTRIES = 2**21  # ... as long as those tables stay small
_SEAL = 2**32 - 1  # the coder's own ending is the word of its lower end plus this

_queue = constriction.stream.queue
_model = constriction.stream.model
_table_each = _model.Categorical(perfect=False)

Request = tuple[slice, Any, tuple[NDArray[np.float32], ...]]


class Encoder(Protocol):
    """Appends symbols; `ended` gives the bytes."""

    def encode(self, symbols: Symbols, counts: Counts, rows: Rows) -> None: ...

    def encode_uniform(self, values: Symbols, width: int) -> None: ...

    def ended(self) -> bytes: ...


class Decoder(Protocol):
    """Reads symbols, CorruptFileError where there are none; `ended` gives what an encoder of them writes."""

    def decode(self, counts: Counts, rows: Rows) -> Iterator[tuple[slice, Symbols]]:
        """The next symbols, one for each row, in parts."""
        ...

    def decode_uniform(self, count: int, width: int) -> Symbols: ...

    def ended(self) -> bytes: ...


class RangeEncoder:
    """By constriction."""

    def __init__(self) -> None:
        self._coder = _queue.RangeEncoder()

    def encode(self, symbols: Symbols, counts: Counts, rows: Rows) -> None:
        for part, model, parameters in _requests(counts, rows):
            self._coder.encode(symbols[part], model, *parameters)

    def encode_uniform(self, values: Symbols, width: int) -> None:
        self._coder.encode(values, _model.Uniform(2**width))

    def ended(self) -> bytes:
        return _ended(self._coder)


class RangeDecoder:
    """By constriction, which does not tell its state: what is read is encoded again."""

    def __init__(self, data: bytes) -> None:
        words = np.frombuffer(data + bytes(-len(data) % WORD.itemsize), WORD)
        self._coder = _queue.RangeDecoder(words.astype(np.uint32))
        self._again = _queue.RangeEncoder()

    def decode(self, counts: Counts, rows: Rows) -> Iterator[tuple[slice, Symbols]]:
        for part, model, parameters in _requests(counts, rows):
            yield part, self._read(model, *(parameters or (part.stop - part.start,)))

    def decode_uniform(self, count: int, width: int) -> Symbols:
        return self._read(_model.Uniform(2**width), count)

    def ended(self) -> bytes:
        return _ended(self._again)

    def _read(self, model: Any, *amount: Any) -> Symbols:
        """Symbols of a model, so many; or of a family of models, one for each row of its parameters."""
        try:
            symbols = np.asarray(self._coder.decode(model, *amount), np.int32)
        except (AssertionError, ValueError) as error:
            raise CorruptFileError("No encoder writes these coded symbols: the file is damaged.") from error
        parameters = [each for each in amount if isinstance(each, np.ndarray)]
        self._again.encode(symbols, model, *parameters)
        return symbols


def ending(before: bytes, lower: int, width: int) -> bytes:
    """`before` and the shortest, smallest fraction behind it of lower ... lower + width - 1 (64 bits)."""
    size, point = next(
        (size, point)
        for size in range(WINDOW + 1)
        if (point := -(-lower >> 8 * (WINDOW - size)) << 8 * (WINDOW - size)) < lower + width
    )
    if point >> 8 * WINDOW:
        before = (int.from_bytes(before) + 1).to_bytes(len(before))
    last = (point % (1 << 8 * WINDOW)).to_bytes(WINDOW)[:size]
    return (before + last).rstrip(b"\0")


def _ended(coder: Any) -> bytes:
    complete, (lower, width) = coder.pos()
    before = coder.get_compressed()[:complete].astype(WORD).tobytes()
    if (lower + _SEAL) >> 8 * WINDOW:  # the coder's own ending has been carried into the words before
        before = (int.from_bytes(before) - 1).to_bytes(len(before))
    return ending(before, lower, width)


def _requests(counts: Counts, rows: Rows) -> Iterator[Request]:
    """(places, model, parameters) of the calls that code sorted rows; either way gives the same bytes."""
    if not rows.size:
        return
    starts = [0, *(np.flatnonzero(rows[1:] != rows[:-1]) + 1).tolist()]
    if rows.size < SCATTERED * len(starts) and rows.size * counts.shape[1] <= SCATTERED_ENTRIES:
        yield slice(0, rows.size), _table_each, (_floats(counts[rows]),)
        return
    each = _floats(counts[rows[starts]])
    for start, stop, probabilities in zip(starts, [*starts, rows.size][1:], each, strict=True):
        yield slice(start, stop), _model.Categorical(probabilities, perfect=False, lazy=False), ()


def _floats(counts: Counts) -> NDArray[np.float32]:
    return (counts - 1).astype(np.float32)
