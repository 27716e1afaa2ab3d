"""Lanes of codes that run side by side.

A call of the coder takes one code from every lane, and the tables learn between calls. On the trellis, the
grid of a code is part of its context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from barycode.weights.entropy_coding.adaptive_tables import AdaptiveTables
from barycode.weights.entropy_coding.symbol_costs import signed_bits
from barycode.weights.quantization.trellis import GRIDS, advance, grid_of, points

if TYPE_CHECKING:
    from barycode.weights.entropy_coding.symbol_stream import Exchange

TIME = 64  # codes in a lane
TURNED = 256  # lanes
CLASSES = 40
PLAIN = GRIDS  # the third family of rows: codes without a trellis
FAMILIES = GRIDS + 1


@dataclass(frozen=True)
class CodeLanes:
    """What both sides know of `count` codes (TIME, lanes): classes, low bits, whether on the trellis."""

    classes: NDArray[np.uint8]
    low: NDArray[np.int32]
    shift: int
    on_trellis: bool
    count: int

    @property
    def times(self) -> int:
        return min(TIME, self.count)

    def live(self, time: int) -> int:
        """Lanes that have a code then: the last may end before the others."""
        return lanes_of(self.count - time)

    def in_sequence(self, lanes: NDArray) -> NDArray:
        """Of what every code has (TIME, lanes): lane by lane (count,)."""
        return lanes.T.ravel()[: self.count]


def walk(
    exchange: Exchange,
    tables: AdaptiveTables,
    lanes: CodeLanes,
    high: NDArray[np.int32] | None,
    bits: NDArray[np.float32] | None,
) -> NDArray[np.int32]:
    """The codes, or on the trellis their points (TIME, lanes), from the high bits or from the exchange.

    `bits` (TIME, lanes) are told what codes cost.
    """
    result, states = np.empty(lanes.low.shape, np.int32), np.zeros(lanes.low.shape[1], np.uint8)
    for time in range(lanes.times):
        live = slice(lanes.live(time))
        grids = grid_of(states[live]) if lanes.on_trellis else np.full_like(states[live], PLAIN)
        contexts = rows_of(lanes.classes[time, live], grids)
        own = exchange.signed(tables.tables, contexts, None if high is None else high[time, live])
        if bits is not None:
            bits[time, live] = signed_bits(tables.tables, contexts, own)
        tables.learn_signed(own, contexts)
        taken = (own << lanes.shift) + lanes.low[time, live] if lanes.shift else own
        result[time, live] = points(taken, grids) if lanes.on_trellis else taken
        states = advance(states[live], taken) if lanes.on_trellis else states
    return result


def rows_of(classes: NDArray[np.uint8], families: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return classes + families * np.uint8(CLASSES)


def in_lanes(sequence: NDArray) -> NDArray:
    """A sequence (n,) as (TIME, lanes), zeros behind it."""
    padding = (0, TIME * lanes_of(len(sequence)) - len(sequence))
    rows = np.pad(sequence, padding).reshape(-1, TIME)
    lanes = np.empty((TIME, len(rows)), sequence.dtype)
    for start in range(0, len(rows), TURNED):  # what is turned together stays in the cache
        lanes[:, start : start + TURNED] = rows[start : start + TURNED].T
    return lanes


def lanes_of(count: int) -> int:
    """Lanes of a piece: runs of TIME codes, the last of them may be shorter."""
    return -(-count // TIME)
