"""Signed codes under classes of magnitude: the entropy coder of every lossy or hardened tensor.

A piece of a sequence is cut into lanes that run side by side (`code_lanes`).
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from barycode.weights.entropy_coding.adaptive_tables import INCREMENT, AdaptiveTables
from barycode.weights.entropy_coding.code_lanes import (
    CLASSES,
    FAMILIES,
    TIME,
    CodeLanes,
    in_lanes,
    rows_of,
)
from barycode.weights.entropy_coding.symbol_stream import Exchange
from barycode.weights.quantization.curvature import Matrix
from barycode.weights.quantization.feedback import Lanes, sweep
from barycode.weights.quantization.trellis import (
    GRIDS,
    Prices,
    best_path,
    grids_along,
)

PIECE = 2**20  # codes that run together
PILOT = 2**16  # codes that are chosen first, to learn what codes cost
ZERO_CLASS = 16  # the class of a mean magnitude of one code
LIMIT = 31  # codes beyond are escapes
PRIOR_WEIGHT = 24  # symbols that the prior of a row counts for
RATE_WEIGHT = 0.22  # squared steps that a bit is worth on the trellis
FED_RATE_WEIGHT = 0.14  # the same, where later codes make up for the errors of those before
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
        targets, rows = in_lanes(weights), in_lanes(classes)
        stride = max(targets.size // PILOT, 1)
        some = np.ascontiguousarray(targets[:, ::stride]), np.ascontiguousarray(rows[:, ::stride])
        tables = self._tables.copy()
        pilot = best_path(*some, _prices(tables, shift, RATE_WEIGHT))
        tables.learn_signed((pilot >> shift).ravel(), rows_of(some[1], grids_along(pilot)).ravel())
        if matrices:
            lanes = Lanes(matrices, start, targets.shape[1], TIME)
            fed = sweep(targets.T, rows.T, _prices(tables, shift, FED_RATE_WEIGHT), lanes)
            return fed.ravel()[: len(weights)]
        return best_path(targets, rows, _prices(tables, shift, RATE_WEIGHT)).T.ravel()[: len(weights)]

    def _piece(
        self, exchange: Exchange, classes: NDArray, codes: NDArray | None, on_trellis: bool, shift: int
    ) -> NDArray[np.int32]:
        count = len(classes)
        low = exchange.uniform(count, shift, None if codes is None else codes & 2**shift - 1)
        lanes = CodeLanes(in_lanes(classes), in_lanes(low.astype(np.int32)), shift, on_trellis, count)
        high = None if codes is None else in_lanes(codes >> shift)
        return lanes.in_sequence(exchange.lanes(self._tables, lanes, high, None))


def _prices(tables: AdaptiveTables, shift: int, rate_weight: float) -> Prices:
    """What codes would cost now, by magnitude: the mean of both signs."""
    lengths = tables.tables.code_lengths()[: GRIDS * CLASSES]
    bits = (lengths[:, LIMIT:] + lengths[:, LIMIT::-1]) * np.float32(0.5) + np.float32(shift)
    return Prices(bits.astype(np.float32), shift, rate_weight)
