"""What symbols cost, counted while they are coded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from barycode.rate import FrequencyTables

if TYPE_CHECKING:
    from barycode.weights.entropy_coding.adaptive_tables import AdaptiveTables
    from barycode.weights.entropy_coding.code_lanes import CodeLanes
    from barycode.weights.entropy_coding.symbol_stream import Costs, Exchange, Integers


class CostRecorder:
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
        self._spent.append(signed_bits(tables, rows, values))
        return values

    def uniform(self, count: int, bits: int, values: NDArray | None) -> NDArray[np.int64]:
        self._spent.append(np.full(count, bits, np.float32))
        return self._exchange.uniform(count, bits, values)

    def lanes(
        self, tables: AdaptiveTables, lanes: CodeLanes, high: Integers | None, bits: Costs | None
    ) -> Integers:
        costs = np.zeros(lanes.low.shape, np.float32) if bits is None else bits
        result = self._exchange.lanes(tables, lanes, high, costs)
        self._spent.append(lanes.in_sequence(costs))
        return result

    def take(self) -> NDArray[np.float32]:
        """The bits of the symbols since the last time, in the order in which they were coded."""
        spent, self._spent = self._spent, []
        return np.concatenate([*spent, np.zeros(0, np.float32)])


def signed_bits(tables: FrequencyTables, rows: NDArray, values: NDArray[np.int32]) -> NDArray[np.float32]:
    """What signed values (n,) cost under their rows (n,), escapes and all."""
    limit = tables.alphabet // 2
    places = values.clip(-limit, limit) + limit + rows.astype(np.int64) * tables.alphabet
    bits = tables.code_lengths().ravel().take(places)
    escaped = np.flatnonzero(np.abs(values) >= limit)
    excess = np.abs(values[escaped].astype(np.int64)) - limit + 1
    bits[escaped] += 2 * np.log2(excess).astype(np.int64) + 1
    return bits
