"""Trellis-coded quantization: the parities of the codes so far say on which of two grids the next one stands.

Grid 0 has the points 2 k, grid 1 the points 2 k - sign(k), in units of the step. Their union is twice as fine
as either, so a path of codes comes closer to the weights than one grid can at the same rate (Marcellin and
Fischer 1990). Zero is on both, so that it stays cheap. Eight states; lanes run side by side from state 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STATES = 8
# NEXT[state, parity of the code]; even states stand on grid 0, odd ones on grid 1.
NEXT = np.array([[0, 1], [2, 3], [5, 4], [7, 6], [1, 0], [3, 2], [4, 5], [6, 7]], np.uint8)
GRIDS = 2
OPTIONS = 2 * GRIDS  # the best even and the best odd code of each grid
UNREACHED = np.float32(1e30)


def grid_of(states: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grid that each state stands on."""
    return states & np.uint8(1)


def points(codes: NDArray, grids: NDArray) -> NDArray[np.int32]:
    """The integers that codes stand for on their grids, in steps."""
    return (2 * codes - np.sign(codes) * grids).astype(np.int32)


def advance(states: NDArray[np.uint8], codes: NDArray) -> NDArray[np.uint8]:
    """The states (lanes,) after codes (lanes,)."""
    return NEXT[states, codes & 1]


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

    `trade` is lambda: the squared steps that one bit is worth.
    """

    bits: NDArray[np.float32]
    shift: int
    trade: float

    def costs(self, magnitudes: NDArray[np.int32], classes: NDArray, grid: int) -> NDArray[np.float32]:
        """lambda * bits of magnitudes (lanes,) of classes (lanes,) on a grid."""
        rows, columns = self.bits.shape
        of_grid = (
            np.float32(self.trade) * self.bits[grid * rows // GRIDS : (grid + 1) * rows // GRIDS].ravel()
        )
        places = np.minimum(magnitudes >> self.shift, columns - 1)
        places += classes.astype(np.int32) * columns
        return of_grid.take(places)


def best_path(targets: NDArray[np.float32], classes: NDArray, prices: Prices) -> NDArray[np.int32]:
    """The codes of least sum (target - point)**2 + lambda * bits along each lane, by Viterbi's algorithm.

    targets: weights in steps, float32 (time, lanes); classes: integers of that shape. Returns codes likewise.
    """
    time, lanes = targets.shape
    total = np.full((STATES, lanes), UNREACHED)
    total[0] = 0
    choices = np.empty((time, OPTIONS, lanes), np.int32)
    origins = np.empty((time, STATES, lanes), bool)
    for t in range(time):
        choices[t], costs = _options(np.abs(targets[t]), classes[t], prices)
        total, origins[t] = _extend(total, costs)
    # A weight of zero may take an odd code too: the parities have to stay those of the path.
    return np.where(targets < 0, -1, 1).astype(np.int32) * _trace_back(total, choices, origins)


def _predecessors() -> NDArray[np.int64]:
    """(STATES, 2, 2): the two (state, parity) that lead to each state."""
    pairs = [[(s, p) for s in range(STATES) for p in (0, 1) if NEXT[s, p] == n] for n in range(STATES)]
    return np.array(pairs)


PREDECESSORS = _predecessors()
_OPTION = (
    GRIDS * (PREDECESSORS[..., 0] & 1) + PREDECESSORS[..., 1]
)  # option of each predecessor: 2 * grid + parity


def _options(size: NDArray, classes: NDArray, prices: Prices) -> tuple[NDArray, NDArray]:
    """Best magnitudes and their costs (OPTIONS, lanes), at 2 * grid + parity."""
    magnitudes = np.empty((OPTIONS, len(size)), np.int32)
    costs = np.empty((OPTIONS, len(size)), np.float32)
    for grid in range(GRIDS):
        for parity, (cost, magnitude) in enumerate(options(size, grid, classes, prices)):
            costs[2 * grid + parity], magnitudes[2 * grid + parity] = cost, magnitude
    return magnitudes, costs


def options(
    size: NDArray, grid: int, classes: NDArray, prices: Prices, weights: NDArray | None = None
) -> tuple[tuple, tuple]:
    """(costs, magnitudes) (lanes,) of the best even and the best odd code of a grid for sizes (lanes,).

    `weights` (lanes,) are what a squared step of error costs, 1 if not given.
    """

    def priced(magnitudes: NDArray) -> tuple[NDArray[np.float32], NDArray]:
        reached = (2 * magnitudes - np.minimum(magnitudes, grid)).astype(np.float32)
        errors = (size - reached) ** 2
        return (errors if weights is None else errors * weights) + prices.costs(
            magnitudes, classes, grid
        ), magnitudes

    below = ((size + grid) * np.float32(0.5)).astype(np.int32)
    low, high = priced(below), priced(below + 1)
    smaller = np.maximum(below - 1, 1 - (below & 1))  # of high's parity; for below = 0 it is 1 again
    high = _cheaper(high, priced(smaller))
    is_even = (below & 1) == 0
    even = _cheaper(_pick(is_even, low, high), priced(np.zeros_like(below)))
    return even, _pick(is_even, high, low)


def _cheaper(one: tuple, other: tuple) -> tuple:
    return _pick(one[0] <= other[0], one, other)


def _pick(first: NDArray, one: tuple, other: tuple) -> tuple:
    return tuple(np.where(first, a, b) for a, b in zip(one, other, strict=True))


def _extend(total: NDArray, costs: NDArray) -> tuple[NDArray, NDArray]:
    """Costs of the best paths one code longer, (STATES, lanes), and which predecessor each came by."""
    first, second = (total[PREDECESSORS[:, i, 0]] + costs[_OPTION[:, i]] for i in (0, 1))
    return np.minimum(first, second), second < first


def _trace_back(total: NDArray, choices: NDArray, origins: NDArray) -> NDArray[np.int32]:
    codes = np.empty((len(choices), total.shape[1]), np.int32)
    lanes = np.arange(total.shape[1])
    state = total.argmin(0)
    for t in reversed(range(len(choices))):
        came = origins[t, state, lanes].astype(np.int64)
        codes[t] = choices[t, _OPTION[state, came], lanes]
        state = PREDECESSORS[state, came, 0]
    return codes
