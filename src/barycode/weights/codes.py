"""Signed codes under classes of magnitude: the entropy coder of every lossy or hardened tensor.

A part of a tensor is cut into lanes that run side by side: a call of the coder takes one code from every lane,
and the tables learn between calls. On the trellis, the grid of a code is part of its context.
"""

import numpy as np
from numpy.typing import NDArray

from barycode.weights.adaptive import INCREMENT, AdaptiveTables
from barycode.weights.exchange import Exchange
from barycode.weights.trellis import GRIDS, Prices, advance, grid_of, points

TIME = 64  # codes in a lane
CLASSES = 40
ZERO_CLASS = 16  # the class of a mean magnitude of one code
LIMIT = 31  # codes beyond are escapes
PRIOR_WEIGHT = 24  # symbols that the prior of a row counts for
PLAIN = GRIDS  # the third family of rows: codes without a trellis
FAMILIES = GRIDS + 1
_QUARTERS = (65536, 77936, 92682, 110218)  # 2**(n/4), 16 bits behind the point
_ONE = 1 << 16


def _prior() -> NDArray[np.int64]:
    """Two-sided geometric rows (FAMILIES * CLASSES, 2 LIMIT + 1) of the classes' mean magnitudes: integers only."""
    table = np.empty((CLASSES, 2 * LIMIT + 1), np.int64)
    for index in range(CLASSES):
        octave, quarter = divmod(index - ZERO_CLASS, 4)
        mean = _QUARTERS[quarter] << octave if octave >= 0 else _QUARTERS[quarter] >> -octave
        weights = [_ONE * _ONE]
        for _ in range(LIMIT):
            weights.append(weights[-1] * mean // (_ONE + mean))
        weights[0] *= 2
        both = weights[:0:-1] + weights
        table[index] = [1 + PRIOR_WEIGHT * INCREMENT * weight // sum(both) for weight in both]
    return np.concatenate([table] * FAMILIES)


class CodeCoder:
    """Codes, with tables that last as long as this object."""

    def __init__(self) -> None:
        self._tables = AdaptiveTables(_prior())

    def prices(self, trade: float) -> Prices:
        """What the trellis would pay now, by magnitude: both signs cost the same."""
        lengths = self._tables.tables.code_lengths()[: GRIDS * CLASSES]
        by_class = lengths.reshape(GRIDS, CLASSES, -1).transpose(1, 0, 2).reshape(GRIDS * CLASSES, -1)
        return Prices((by_class[:, LIMIT:] + by_class[:, LIMIT::-1]) / 2, trade)

    def plain(self, exchange: Exchange, classes: NDArray[np.uint8], codes: NDArray | None) -> NDArray[np.int32]:
        """Codes (n,) that stand for themselves."""
        rows = classes.astype(np.int64) + PLAIN * CLASSES
        result = np.empty(len(classes), np.int32)
        for part in chunks(len(classes)):
            result[part] = self._call(exchange, rows[part], None if codes is None else codes[part])
        return result

    def trellis(
        self, exchange: Exchange, classes: NDArray[np.uint8], codes: NDArray | None
    ) -> NDArray[np.int32]:
        """The points (n,) that codes (n,) along the trellis stand for."""
        result = np.empty(len(classes), np.int32)
        states = np.zeros(lanes(len(classes)), np.uint8)
        for part in chunks(len(classes)):
            states = states[: part.stop - part.start]
            grids = grid_of(states)
            rows = classes[part] + grids.astype(np.int64) * CLASSES
            taken = self._call(exchange, rows, None if codes is None else codes[part])
            result[part] = points(taken, grids)
            states = advance(states, taken)
        return result

    def _call(self, exchange: Exchange, rows: NDArray, codes: NDArray | None) -> NDArray[np.int32]:
        taken = exchange.signed(self._tables.tables, rows, codes)
        self._tables.learn_signed(taken, rows)
        return taken


def lanes(count: int) -> int:
    """Lanes of a part of `count` codes."""
    return -(-count // TIME)


def chunks(count: int) -> list[slice]:
    """The calls of a part: one code of every lane each; the last may be short."""
    width = max(lanes(count), 1)
    return [slice(start, min(start + width, count)) for start in range(0, count, width)]
