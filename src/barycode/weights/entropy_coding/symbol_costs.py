"""What symbols cost, counted while they are coded."""

import numpy as np
from numpy.typing import NDArray

from barycode.rate import FrequencyTables
from barycode.weights.entropy_coding.symbol_stream import Exchange, Integers


class Metered:
    """An exchange that keeps the bits of every symbol until they are taken."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._spent: list[NDArray[np.float32]] = []

    def symbols(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers:
        symbols = self._exchange.symbols(tables, rows, values)
        self._spent.append(tables.code_lengths()[rows, symbols])
        return symbols

    def signed(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers:
        values = self._exchange.signed(tables, rows, values)
        limit = tables.alphabet // 2
        places = values.clip(-limit, limit) + limit + rows.astype(np.int64) * tables.alphabet
        bits = tables.code_lengths().ravel().take(places)
        escaped = np.flatnonzero(np.abs(values) >= limit)
        excess = np.abs(values[escaped].astype(np.int64)) - limit + 1
        bits[escaped] += 2 * np.log2(excess).astype(np.int64) + 1
        self._spent.append(bits)
        return values

    def uniform(self, count: int, bits: int, values: NDArray | None) -> NDArray[np.int64]:
        self._spent.append(np.full(count, bits, np.float32))
        return self._exchange.uniform(count, bits, values)

    def take(self) -> NDArray[np.float32]:
        """The bits of the symbols since the last time, in the order in which they were coded."""
        spent, self._spent = self._spent, []
        return np.concatenate([*spent, np.zeros(0, np.float32)])
