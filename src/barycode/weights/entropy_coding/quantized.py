"""Signed codes under classes of magnitude: the entropy coder of every lossy or hardened tensor.

A piece of a sequence is cut into lanes that run side by side: a call of the coder takes one code from every
lane, and the tables learn between calls. On the trellis, the grid of a code is part of its context.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from barycode.weights.entropy_coding.adaptive_tables import INCREMENT, AdaptiveTables
from barycode.weights.entropy_coding.symbol_stream import Exchange
from barycode.weights.quantization.curvature import Matrix
from barycode.weights.quantization.feedback import Lanes, sweep
from barycode.weights.quantization.trellis import (
    GRIDS,
    Prices,
    advance,
    best_path,
    grid_of,
    grids_along,
    points,
)

PIECE = 2**20  # codes that run together
TIME = 64  # codes in a lane
TURNED = 256  # lanes
PILOT = 2**16  # codes that are chosen first, to learn what codes cost
CLASSES = 40
ZERO_CLASS = 16  # the class of a mean magnitude of one code
LIMIT = 31  # codes beyond are escapes
PRIOR_WEIGHT = 24  # symbols that the prior of a row counts for
PLAIN = GRIDS  # the third family of rows: codes without a trellis
FAMILIES = GRIDS + 1
RATE_WEIGHT = 0.22  # squared steps that a bit is worth on the trellis
FED_TRADE = 0.14  # the same, where later codes make up for the errors of those before
_QUARTERS = (65536, 77936, 92682, 110218)  # 2**(n/4), 16 bits behind the point
_ONE = 1 << 16


@cache
def _prior() -> NDArray[np.int64]:
    """Rows (FAMILIES * CLASSES, 2 LIMIT + 1): two-sided geometric, of the classes' mean magnitudes."""
    table = np.empty((CLASSES, 2 * LIMIT + 1), np.int64)
    for index in range(CLASSES):
        octave, quarter = divmod(index - ZERO_CLASS, len(_QUARTERS))
        mean = _QUARTERS[quarter] << octave if octave >= 0 else _QUARTERS[quarter] >> -octave
        weights = [_ONE * _ONE]
        for _ in range(LIMIT):
            weights.append(weights[-1] * mean // (_ONE + mean))
        both = [*weights[:0:-1], 2 * weights[0], *weights[1:]]
        table[index] = [1 + PRIOR_WEIGHT * INCREMENT * weight // sum(both) for weight in both]
    return np.concatenate([table] * FAMILIES)


class CodeCoder:
    """Codes sequences, with tables that last as long as this object."""

    def __init__(self) -> None:
        self._tables = AdaptiveTables(_prior())

    def code(
        self,
        exchange: Exchange,
        classes: NDArray[np.uint8],
        source: NDArray | None,
        on_trellis: bool,
        shift: int,
        matrices: Sequence[Matrix] = (),
    ) -> NDArray[np.int32]:
        """Codes (n,) as they came or, on the trellis, the points (n,) for weights (n,) in steps.

        `matrices` say, while writing, how much the errors of some weights count.
        """
        result = np.empty(len(classes), np.int32)
        for start in range(0, len(classes), PIECE):
            piece = slice(start, start + PIECE)
            codes = None if source is None else source[piece]
            if codes is not None and on_trellis:
                near = [m for m in matrices if m.start < start + PIECE and m.stop > start]
                codes = self._choose(codes, classes[piece], shift, near, start)
            result[piece] = self._piece(exchange, classes[piece], codes, on_trellis, shift)
        return result

    def _choose(
        self,
        weights: NDArray[np.float32],
        classes: NDArray,
        shift: int,
        matrices: Sequence[Matrix],
        start: int,
    ) -> NDArray[np.int32]:
        """The codes of the best path, at prices that a pilot on some lanes has learned."""
        targets, rows = _in_lanes(weights), _in_lanes(classes)
        stride = max(targets.size // PILOT, 1)
        some = np.ascontiguousarray(targets[:, ::stride]), np.ascontiguousarray(rows[:, ::stride])
        tables = self._tables.copy()
        pilot = best_path(*some, _prices(tables, shift, RATE_WEIGHT))
        tables.learn_signed((pilot >> shift).ravel(), _rows(some[1], grids_along(pilot)).ravel())
        if matrices:
            lanes = Lanes(matrices, start, targets.shape[1], TIME)
            fed = sweep(targets.T, rows.T, _prices(tables, shift, FED_TRADE), lanes)
            return fed.ravel()[: len(weights)]
        return _in_sequence(best_path(targets, rows, _prices(tables, shift, RATE_WEIGHT)), len(weights))

    def _piece(
        self, exchange: Exchange, classes: NDArray, codes: NDArray | None, on_trellis: bool, shift: int
    ) -> NDArray[np.int32]:
        count = len(classes)
        low = exchange.uniform(count, shift, None if codes is None else codes & 2**shift - 1)
        low, rows = _in_lanes(low.astype(np.int32)), _in_lanes(classes)
        source = None if codes is None else _in_lanes(codes >> shift)
        result, states = np.empty(rows.shape, np.int32), np.zeros(rows.shape[1], np.uint8)
        for time in range(min(TIME, count)):
            live = slice(_lanes(count - time))  # the last lane may end before the others
            grids = grid_of(states[live]) if on_trellis else np.full_like(states[live], PLAIN)
            contexts = _rows(rows[time, live], grids)
            own = None if source is None else source[time, live]
            high = exchange.signed(self._tables.tables, contexts, own)
            self._tables.learn_signed(high, contexts)
            taken = (high << shift) + low[time, live] if shift else high
            result[time, live] = points(taken, grids) if on_trellis else taken
            states = advance(states[live], taken) if on_trellis else states
        return _in_sequence(result, count)


def _rows(classes: NDArray[np.uint8], families: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return classes + families * np.uint8(CLASSES)


def _in_lanes(sequence: NDArray) -> NDArray:
    """A sequence (n,) as (TIME, lanes), zeros behind it."""
    padding = (0, TIME * _lanes(len(sequence)) - len(sequence))
    rows = np.pad(sequence, padding).reshape(-1, TIME)
    lanes = np.empty((TIME, len(rows)), sequence.dtype)
    for start in range(0, len(rows), TURNED):  # what is turned together stays in the cache
        lanes[:, start : start + TURNED] = rows[start : start + TURNED].T
    return lanes


def _in_sequence(lanes: NDArray, count: int) -> NDArray:
    """The first `count` entries of lanes (TIME, n), lane by lane."""
    return lanes.T.ravel()[:count]


def _prices(tables: AdaptiveTables, shift: int, rate_weight: float) -> Prices:
    """What codes would cost now, by magnitude: the mean of both signs."""
    lengths = tables.tables.code_lengths()[: GRIDS * CLASSES]
    bits = (lengths[:, LIMIT:] + lengths[:, LIMIT::-1]) * np.float32(0.5) + np.float32(shift)
    return Prices(bits.astype(np.float32), shift, rate_weight)


def _lanes(count: int) -> int:
    """Lanes of a piece: runs of TIME codes, the last of them may be shorter."""
    return -(-count // TIME)
