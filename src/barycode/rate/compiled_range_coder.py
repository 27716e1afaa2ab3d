"""The range coder in machine code: the same bytes as `barycode.rate.range_coder`.

An encoder is (lower, range), modulo 2^64, and the words before; what is carried out of lower goes into them.
A decoder needs (point - lower, range) alone, and at the end knows from the data what lower was.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from barycode.errors import CorruptFileError
from barycode.machine_code import compiled
from barycode.rate.range_coder import WINDOW, WORD, Counts, Symbols, ending
from barycode.rate.tables import PRECISION

Words = NDArray[np.uint32]

WHOLE = np.uint64(2**64 - 1)
WORD_BITS = np.uint64(32)
FLOOR = np.uint64(2**32)
LOW = np.uint64(2**32 - 1)
BITS = np.uint64(PRECISION)
FEWEST = 2**10  # words that there is room for at first


class CompiledRangeEncoder:
    """Appends symbols to words. `lower`, `width`, `words` and `used` are for loops that put symbols there."""

    def __init__(self) -> None:
        self.lower, self.width = np.uint64(0), WHOLE
        self.words = np.zeros(FEWEST, np.uint32)
        self.used = 0

    def reserve(self, symbols: int) -> None:
        """Make room for so many more symbols: a word each, at most."""
        if self.used + symbols > len(self.words):
            self.words = np.concatenate([self.words, np.zeros(max(len(self.words), symbols), np.uint32)])

    def moved(self, state: tuple[int, int, int]) -> None:
        """Go on from where a loop has come to: lower, range, words used."""
        self.lower, self.width, self.used = np.uint64(state[0]), np.uint64(state[1]), int(state[2])

    def encode(self, symbols: Symbols, counts: Counts, rows: NDArray[np.int64]) -> None:
        """Append symbols (n,), each under its own row (n,) of the counts."""
        self.reserve(len(symbols))
        self.moved(_encode(self.words, self.lower, self.width, self.used, symbols, starts(counts), rows))

    def encode_uniform(self, values: Symbols, width: int) -> None:
        """Append integers (n,) of `width` bits."""
        self.reserve(len(values))
        self.moved(_encode_uniform(self.words, self.lower, self.width, self.used, values, width))

    def ended(self) -> bytes:
        before = self.words[: self.used].astype(WORD).tobytes()
        return ending(before, int(self.lower), int(self.width))


class CompiledRangeDecoder:
    """Reads what an encoder wrote. `offset`, `width` and `read` are for loops that take symbols there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        padded = data + bytes(-len(data) % WORD.itemsize + WINDOW)
        self.words = np.frombuffer(padded, WORD).astype(np.uint32)
        self.offset = np.uint64(int.from_bytes(padded[:WINDOW]))
        self.width = WHOLE
        self.read = WINDOW // WORD.itemsize

    def moved(self, state: tuple[int, int, int, bool]) -> None:
        """Go on from where a loop has come to: point less lower, range, words read, whether all went well."""
        self.offset, self.width, self.read = np.uint64(state[0]), np.uint64(state[1]), int(state[2])
        if not state[3]:
            raise CorruptFileError("No encoder writes these coded symbols: the file is damaged.")

    def decode(self, counts: Counts, rows: NDArray[np.int64]) -> Iterator[tuple[slice, Symbols]]:
        """The next symbols, one for each row (n,), in one part."""
        symbols = np.empty(len(rows), np.int32)
        self.moved(_decode(self.words, self.offset, self.width, self.read, symbols, starts(counts), rows))
        yield slice(0, len(rows)), symbols

    def decode_uniform(self, count: int, width: int) -> Symbols:
        """The next `count` integers of `width` bits."""
        values = np.empty(count, np.int32)
        self.moved(_decode_uniform(self.words, self.offset, self.width, self.read, values, width))
        return values

    def ended(self) -> bytes:
        """The bytes that an encoder of what was read would end with."""
        seen = WORD.itemsize * self.read
        below = int.from_bytes(self._data[:seen].ljust(seen, b"\0")) - int(self.offset)
        before, lower = divmod(below, 1 << 8 * WINDOW)
        return ending(before.to_bytes(seen - WINDOW), lower, int(self.width))


def starts(counts: Counts) -> NDArray[np.uint32]:
    """(T, A + 1): where the symbols of each row start, and the total."""
    return np.pad(np.cumsum(counts, 1, dtype=np.uint32), ((0, 0), (1, 0)))


@compiled
def put(words, lower, width, used, start, stop):  # type: ignore[no-untyped-def]
    """The state after a symbol that owns `start` ... `stop` - 1."""
    scale = width >> BITS
    added = scale * np.uint64(start)
    lower += added
    if lower < added:
        place = used - 1
        while words[place] == LOW:
            words[place] = 0
            place -= 1
        words[place] += np.uint32(1)
    width = scale * (np.uint64(stop) - np.uint64(start))
    if width < FLOOR:
        words[used] = np.uint32(lower >> WORD_BITS)
        used += 1
        lower <<= WORD_BITS
        width <<= WORD_BITS
    return lower, width, used


@compiled
def take(words, offset, width, read, start, stop):  # type: ignore[no-untyped-def]
    """The state after a symbol that owns `start` ... `stop` - 1; zeros follow the words."""
    scale = width >> BITS
    offset -= scale * np.uint64(start)
    width = scale * (np.uint64(stop) - np.uint64(start))
    if width < FLOOR:
        word = np.uint64(words[read]) if read < len(words) else np.uint64(0)
        offset = offset << WORD_BITS | word
        read += 1
        width <<= WORD_BITS
    return offset, width, read


@compiled
def put_uniform(words, lower, width, used, value, bits):  # type: ignore[no-untyped-def]
    """The state after an integer of so many bits."""
    share = PRECISION - bits
    return put(words, lower, width, used, value << share, (value + 1) << share)


@compiled
def take_uniform(words, offset, width, read, bits):  # type: ignore[no-untyped-def]
    """An integer of so many bits, -1 for none, and the state after it."""
    scale = width >> BITS
    if offset >= scale << BITS:
        return -1, offset, width, read
    share = PRECISION - bits
    value = np.int64(offset // scale) >> share
    offset, width, read = take(words, offset, width, read, value << share, (value + 1) << share)
    return value, offset, width, read


@compiled
def take_symbol(words, offset, width, read, starts, guess):  # type: ignore[no-untyped-def]
    """A symbol (the search begins at a guess), -1 for none, and the state after it."""
    scale = width >> BITS
    if offset >= scale << BITS:
        return -1, offset, width, read
    symbol = guess
    while scale * np.uint64(starts[symbol]) > offset:
        symbol -= 1
    while scale * np.uint64(starts[symbol + 1]) <= offset:
        symbol += 1
    offset, width, read = take(words, offset, width, read, starts[symbol], starts[symbol + 1])
    return symbol, offset, width, read


@compiled
def _encode(words, lower, width, used, symbols, table, rows):  # type: ignore[no-untyped-def]
    for i in range(len(symbols)):
        own = table[rows[i]]
        lower, width, used = put(words, lower, width, used, own[symbols[i]], own[symbols[i] + 1])
    return lower, width, used


@compiled
def _encode_uniform(words, lower, width, used, values, bits):  # type: ignore[no-untyped-def]
    for i in range(len(values)):
        lower, width, used = put_uniform(words, lower, width, used, np.int64(values[i]), bits)
    return lower, width, used


@compiled
def _decode(words, offset, width, read, symbols, table, rows):  # type: ignore[no-untyped-def]
    for i in range(len(symbols)):
        own, scale = table[rows[i]], width >> BITS
        low, high = 0, table.shape[1] - 1  # the last start that is not beyond the offset
        while high - low > 1:
            middle = (low + high) >> 1
            if scale * np.uint64(own[middle]) <= offset:
                low = middle
            else:
                high = middle
        symbol, offset, width, read = take_symbol(words, offset, width, read, own, low)
        if symbol < 0:
            return offset, width, read, False
        symbols[i] = symbol
    return offset, width, read, True


@compiled
def _decode_uniform(words, offset, width, read, values, bits):  # type: ignore[no-untyped-def]
    for i in range(len(values)):
        value, offset, width, read = take_uniform(words, offset, width, read, bits)
        if value < 0:
            return offset, width, read, False
        values[i] = value
    return offset, width, read, True
