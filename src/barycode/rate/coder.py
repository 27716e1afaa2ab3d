"""Symbols to bytes: constriction's range coder, fed with integer tables.

Symbols of one call are grouped by table, in order of table and then of place, so that a call costs one request to
the coder per table and not per symbol; the decoder knows the tables of a call beforehand and does the same.

Why the bytes are reproducible: a row of integers is handed over as float64 multiples of 2**-PRECISION, exact in
binary, and `perfect=False` turns them into the coder's fixed point by IEEE additions and products in a fixed order.
The version range of the dependency is pinned and the golden bytes are tested, so that a change cannot slip in.
"""

from collections.abc import Iterator

import constriction
import numpy as np
import numpy.typing as npt

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.rate.tables import TOTAL, FrequencyTables

Integers = npt.NDArray[np.integer]
MAX_UNIFORM_BITS = 16
MAX_ESCAPE_BITS = 31

_categorical = constriction.stream.model.Categorical
_uniform = constriction.stream.model.Uniform


class SymbolEncoder:
    """Writes symbols; what is written first is read first."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, symbols: Integers, tables: FrequencyTables, rows: Integers) -> None:
        """Write symbols (n,) in 0 ... A - 1, each with the table `rows[i]`."""
        symbols, rows = _checked(symbols, tables, rows)
        for row, places in _groups(rows):
            self._coder.encode(symbols[places], _model(tables, row))

    def encode_signed(self, values: Integers, tables: FrequencyTables, rows: Integers) -> None:
        """Write any int32 values (n,) with tables of 2 L + 1 symbols for -L ... L; from L on the excess follows."""
        limit = _limit(tables)
        values = np.asarray(values, dtype=np.int64).ravel()
        self.encode(np.clip(values, -limit, limit) + limit, tables, rows)
        excess = np.abs(values) - limit
        self._encode_excess(excess[excess >= 0])

    def encode_uniform(self, values: Integers, bits: int) -> None:
        """Write values (n,) in 0 ... 2**bits - 1 at `bits` bits each."""
        values = np.asarray(values, dtype=np.int32).ravel()
        if not 1 <= bits <= MAX_UNIFORM_BITS or (values.size and (values.min() < 0 or values.max() >> bits)):
            raise InvalidInputError(f"Uniform values must fit in {bits} bits, and bits in 1 to {MAX_UNIFORM_BITS}.")
        if values.size:
            self._coder.encode(values, _uniform(2**bits))

    def _encode_excess(self, excess: npt.NDArray[np.int64]) -> None:
        """Elias gamma of excess + 1: the number of bits after the first in unary, then those bits."""
        for value in (excess + 1).tolist():
            length = value.bit_length() - 1
            if length > MAX_ESCAPE_BITS:
                raise InvalidInputError(f"The value {value} is too large to be coded: expected 32-bit integers.")
            bits = [1] * length + [0] + [(value >> i) & 1 for i in reversed(range(length))]
            self.encode_uniform(np.array(bits), 1)

    def finish(self) -> bytes:
        """All that was written, as bytes."""
        return self._coder.get_compressed().astype("<u4").tobytes()


class SymbolDecoder:
    """Reads what SymbolEncoder wrote, call by call with the same tables."""

    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise CorruptFileError(f"A coded section has {len(data)} bytes, expected a multiple of 4: the file is damaged.")
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))

    def decode(self, tables: FrequencyTables, rows: Integers) -> npt.NDArray[np.int32]:
        """The symbols (n,) of one `encode` call."""
        rows = _checked_rows(tables, rows)
        symbols = np.empty(rows.shape, np.int32)
        for row, places in _groups(rows):
            symbols[places] = self._read(_model(tables, row), len(places))
        return symbols

    def decode_signed(self, tables: FrequencyTables, rows: Integers) -> npt.NDArray[np.int32]:
        """The values (n,) of one `encode_signed` call."""
        limit = _limit(tables)
        values = self.decode(tables, rows) - limit
        for place in np.flatnonzero(np.abs(values) == limit):
            values[place] += np.sign(values[place]) * self._decode_excess()
        return values

    def decode_uniform(self, count: int, bits: int) -> npt.NDArray[np.int32]:
        """The values (count,) of one `encode_uniform` call."""
        return self._read(_uniform(2**bits), count)

    def _decode_excess(self) -> int:
        length = 0
        while self.decode_uniform(1, 1)[0]:
            length += 1
            if length >= MAX_ESCAPE_BITS:
                raise CorruptFileError("A coded number is too large: the file is damaged.")
        value = 1
        for bit in self.decode_uniform(length, 1).tolist() if length else []:
            value = 2 * value + bit
        return value - 1

    def _read(self, model: object, count: int) -> npt.NDArray[np.int32]:
        try:
            return np.asarray(self._coder.decode(model, count), dtype=np.int32)
        except (AssertionError, ValueError) as error:
            raise CorruptFileError("A coded section cannot be decoded: the file is damaged.") from error


def _groups(rows: Integers) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Each table that occurs, in order, with its places in order."""
    order = np.argsort(rows, kind="stable")
    used, starts = np.unique(rows[order], return_index=True)
    yield from zip(used.tolist(), np.split(order, starts[1:]), strict=True)


def _model(tables: FrequencyTables, row: int) -> object:
    return _categorical(tables.counts[row] / TOTAL, perfect=False, lazy=False)


def _limit(tables: FrequencyTables) -> int:
    if tables.alphabet % 2 == 0:
        raise InvalidInputError(f"Signed values need tables of 2 L + 1 symbols, not {tables.alphabet}.")
    return tables.alphabet // 2


def _checked_rows(tables: FrequencyTables, rows: Integers) -> Integers:
    rows = np.asarray(rows).ravel()
    if rows.size and (rows.min() < 0 or rows.max() >= len(tables)):
        raise InvalidInputError(f"Table rows run from {rows.min()} to {rows.max()}: expected 0 to {len(tables) - 1}.")
    return rows


def _checked(symbols: Integers, tables: FrequencyTables, rows: Integers) -> tuple[npt.NDArray[np.int32], Integers]:
    symbols, rows = np.asarray(symbols, dtype=np.int32).ravel(), _checked_rows(tables, rows)
    if symbols.shape != rows.shape:
        raise InvalidInputError(f"There are {symbols.size} symbols but {rows.size} table rows: expected as many.")
    if symbols.size and (symbols.min() < 0 or symbols.max() >= tables.alphabet):
        raise InvalidInputError(
            f"Symbols run from {symbols.min()} to {symbols.max()}: expected 0 to {tables.alphabet - 1}."
        )
    return symbols, rows
