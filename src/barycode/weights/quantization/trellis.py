"""Trellis-coded quantization: the parities of the codes so far say on which of two grids the next one stands.

Grid 0 has the points 2 k, grid 1 the points 2 k - sign(k), in units of the step. Their union is twice as fine
as either, so a path of codes comes closer to the weights than one grid can at the same rate (Marcellin and
Fischer 1990). Zero is on both, so that it stays cheap. Eight states; lanes run side by side from state 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import cast

import numpy as np
from numpy.typing import NDArray

from barycode.weights import compiled

STATES = 8
# NEXT[state, parity of the code]; even states stand on grid 0, odd ones on grid 1.
NEXT = np.array([[0, 1], [2, 3], [5, 4], [7, 6], [1, 0], [3, 2], [4, 5], [6, 7]], np.uint8)
GRIDS = 2
OPTIONS = 2 * GRIDS  # the best even and the best odd code of each grid
TOGETHER = 2**13  # lanes whose costs stay in the cache
UNREACHED = np.float32(1e30)


def grid_of(states: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grid that each state stands on."""
    return states & np.uint8(1)


def points(codes: NDArray, grids: NDArray) -> NDArray[np.int32]:
    """The integers that codes stand for on their grids, in steps."""
    return (2 * codes - np.sign(codes) * grids).astype(np.int32)


def advance(states: NDArray[np.uint8], codes: NDArray) -> NDArray[np.uint8]:
    """The states (lanes,) after codes (lanes,)."""
    return NEXT.ravel().take(states << 1 | (codes & 1).astype(np.uint8))


def grids_along(codes: NDArray) -> NDArray[np.uint8]:
    """The grid of every code (time, lanes)."""
    grids = np.empty(codes.shape, np.uint8)
    states = np.zeros(codes.shape[1], np.uint8)
    for time, taken in enumerate(codes):
        grids[time] = grid_of(states)
        states = advance(states, taken)
    return grids


@dataclass(frozen=True)
class Prices:
    """What codes cost: bits (GRIDS * classes, L + 1) of magnitudes less their `shift` low bits, grid by grid.

    `rate_weight` is lambda: the squared steps that one bit is worth.
    """

    bits: NDArray[np.float32]
    shift: int
    rate_weight: float

    def costs(self, magnitudes: NDArray[np.int32], classes: NDArray, grid: int) -> NDArray[np.float32]:
        """lambda * bits of magnitudes (lanes,) of classes (lanes,) on a grid."""
        columns = self.bits.shape[1]
        places = np.minimum(magnitudes >> self.shift, columns - 1)
        places += classes.astype(np.int32) * columns
        return (np.float32(self.rate_weight) * self.of_grid(grid)).ravel().take(places)

    def of_grid(self, grid: int) -> NDArray[np.float32]:
        """The bits (classes, L + 1) of one grid."""
        rows = len(self.bits) // GRIDS
        return self.bits[grid * rows : (grid + 1) * rows]


def best_path(targets: NDArray[np.float32], classes: NDArray, prices: Prices) -> NDArray[np.int32]:
    """The codes of least sum (target - point)**2 + lambda * bits along each lane, by Viterbi's algorithm.

    targets: weights in steps, float32 (time, lanes); classes: integers of that shape. Returns codes likewise.
    """
    options = [OptionPrices(grid, parity, prices) for grid in range(GRIDS) for parity in (0, 1)]
    if compiled.applies(targets.size):
        loops = import_module("barycode.weights.compiled.trellis")
        return cast("NDArray[np.int32]", loops.best_codes(targets, classes, options))
    codes = np.empty(targets.shape, np.int32)
    for start in range(0, targets.shape[1], TOGETHER):
        lanes = slice(start, start + TOGETHER)
        codes[:, lanes] = _best_magnitudes(np.abs(targets[:, lanes]), classes[:, lanes], options)
    # A weight of zero may take an odd code too: the parities have to stay those of the path.
    np.negative(codes, out=codes, where=targets < 0)
    return codes


def _predecessors() -> NDArray[np.int64]:
    """(STATES, 2, 2): the two (state, parity) that lead to each state."""
    pairs = [[(s, p) for s in range(STATES) for p in (0, 1) if NEXT[s, p] == n] for n in range(STATES)]
    return np.array(pairs)


PREDECESSORS = _predecessors()
OPTION = GRIDS * (PREDECESSORS[..., 0] & 1) + PREDECESSORS[..., 1]  # of each: 2 * grid + parity


OFFSETS = np.array([0, 0.5, -0.25, 0.25], np.float32)  # of the points of each option from its ranks
ROUNDING = np.float32(0.5) - OFFSETS


class OptionPrices:
    """The codes of one grid and parity: their points are four steps apart, so the nearest is a rounding away.

    Sizes, points and costs are in units of four steps and their square. A code is 2 * rank + parity.
    """

    def __init__(self, grid: int, parity: int, prices: Prices) -> None:
        self._number = GRIDS * grid + parity
        self.first = np.float32((2 - grid) * parity / 4)  # the point of rank 0
        self._offset = OFFSETS[self._number]  # of the points of all other ranks
        bits = prices.of_grid(grid) * np.float32(prices.rate_weight / 16)
        self.drop = max(prices.shift - 1, 0)  # low bits of ranks that no price depends on
        if prices.shift:
            near = lower = bits  # of the code below, whose price is the same but for a few
        else:
            even = np.pad(bits, ((0, 0), (0, bits.shape[1] % 2)), mode="edge")[:, parity::2]
            near = np.concatenate([even, bits[:, -1:], bits[:, -1:]], 1)
            lower = np.concatenate([even[:, :1], even, bits[:, -1:]], 1)
        self.columns = near.shape[1]
        self.near, self.lower = near.ravel(), lower.ravel()

    def costs(
        self, sizes: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The least cost of a code for sizes (lanes,), and whether the code below the nearest has it."""
        ranks = np.floor(sizes + ROUNDING[self._number])
        places = ranks.astype(np.int64)
        if self.drop:
            places >>= self.drop
        np.minimum(places, self.columns - 1, out=places)
        places += rows
        near = np.maximum(ranks + self._offset, self.first)
        near -= sizes
        near *= near
        near += self.near.take(places)
        ranks += self._offset - np.float32(1)
        lower = np.maximum(ranks, self.first, out=ranks)
        lower -= sizes
        lower *= lower
        lower += self.lower.take(places)
        return np.minimum(near, lower), lower < near


def _best_magnitudes(
    sizes: NDArray[np.float32], classes: NDArray, options: Sequence[OptionPrices]
) -> NDArray[np.int32]:
    time, lanes = sizes.shape
    quarters = sizes * np.float32(0.25)
    total = np.full((STATES, lanes), UNREACHED)
    total[0] = 0
    lower = np.empty((time, OPTIONS, lanes), bool)
    origins = np.empty((time, STATES, lanes), bool)
    for t in range(time):
        rows = classes[t].astype(np.int64) * options[0].columns
        costs = []
        for number, option in enumerate(options):
            cost, lower[t, number] = option.costs(quarters[t], rows)
            costs.append(cost)
        total = _extend(total, costs, origins[t])
    return _trace_back(total, origins, lower, quarters)


def _extend(
    total: NDArray[np.float32], costs: Sequence[NDArray[np.float32]], origins: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Costs (STATES, lanes) of the best paths one code longer; `origins` is told if by the second way."""
    longer = np.empty_like(total)
    for state, ((one, _), (other, _)) in enumerate(PREDECESSORS.tolist()):
        first = total[one] + costs[OPTION[state, 0]]
        second = total[other] + costs[OPTION[state, 1]]
        np.less(second, first, out=origins[state])
        np.minimum(first, second, out=longer[state])
    return longer


def _trace_back(
    total: NDArray[np.float32],
    origins: NDArray[np.bool_],
    lower: NDArray[np.bool_],
    quarters: NDArray[np.float32],
) -> NDArray[np.int32]:
    codes = np.empty(quarters.shape, np.int32)
    lanes = np.arange(total.shape[1])
    count = len(lanes)
    state = total.argmin(0)
    for t in reversed(range(len(codes))):
        way = state * 2 + origins[t].ravel().take(state * count + lanes)
        taken = OPTION.ravel().take(way)
        ranks = np.floor(quarters[t] + ROUNDING.take(taken)).astype(np.int32)
        ranks -= lower[t].ravel().take(taken * count + lanes)
        codes[t] = 2 * ranks + (taken & 1)
        state = PREDECESSORS[..., 0].ravel().take(way)
    return codes
