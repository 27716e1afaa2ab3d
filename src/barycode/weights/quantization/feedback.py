"""Codes of least e^T H e + lambda * bits along lanes of a trellis: quantization with error feedback.

A lane's own block of H is factored as M^T D M with M unit lower triangular, so that e^T H e is the sum of
D[t] (e[t] + sum_{s<t} M[t, s] e[s])^2: each code aims at its weight less what the errors before it have done,
as in GPTQ (Frantar et al. 2023). Which errors those are depends on the path, so each of Viterbi's survivors
keeps its own (per-survivor processing; Raheli et al. 1995). Lanes take turns: the codes of one are chosen
given the errors of the others of its rows so far.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from barycode.weights.quantization.curvature import Matrix
from barycode.weights.quantization.trellis import (
    GRIDS,
    PREDECESSORS,
    STATES,
    UNREACHED,
    Prices,
    grids_along,
    points,
)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """What lanes of one kind have in common: (T, T) of H without the rows' weights.

    mixing: M; weights: D (T,); inverse: H^-1.
    """

    mixing: Floats
    weights: Floats
    inverse: Floats

    @classmethod
    def of(cls, hessian: NDArray) -> "Block":
        wide = hessian.astype(np.float64)
        upper = np.linalg.cholesky(wide[::-1, ::-1])[::-1, ::-1]  # H = U U^T
        diagonal = upper.diagonal()
        mixing = (upper / diagonal).T
        made = (mixing, diagonal**2, np.linalg.inv(wide))
        return cls(*(array.astype(np.float32) for array in made))


Run = tuple[int, int, int, int]
"""Of a lane: its first entry in the lane, the matrix, the first column, how many."""


class Lanes:
    """Lanes of T entries over a piece of a sequence, with the matrices that its entries belong to.

    Lanes that hold the same columns of the same matrices are of one kind, and share a block of H. Lanes of
    one wave share no row.
    """

    def __init__(self, matrices: Sequence[Matrix], start: int, count: int, time: int) -> None:
        self.time, self.count, self.matrices = time, count, matrices
        self.weights = np.ones(count * time, np.float32)
        self._reach = max((m.columns for m in matrices), default=0)
        runs: list[list[Run]] = [[] for _ in range(count)]
        for number, matrix in enumerate(matrices):
            self._enter(number, matrix, start, runs)
        self._kinds: dict[tuple[Run, ...], int] = {}
        self.kind = np.array([self._kinds.setdefault(tuple(r), len(self._kinds)) for r in runs])
        self.blocks = [self._block(kind) for kind in self._kinds]
        self.waves = (self._reach + time - 2) // time + 1
        self._pressure = np.zeros(count * time + 2 * self._reach, np.float32)  # E H of every row

    def _enter(self, number: int, matrix: Matrix, start: int, runs: list[list[Run]]) -> None:
        """Tell the lanes which of their entries are entries of a matrix."""
        begin, end = max(matrix.start - start, 0), min(matrix.stop - start, self.count * self.time)
        place = begin
        while place < end:
            row, column = divmod(place + start - matrix.start, matrix.columns)
            length = min(matrix.columns - column, self.time - place % self.time, end - place)
            runs[place // self.time].append((place % self.time, number, column, length))
            self.weights[place : place + length] = matrix.rows[row]
            place += length

    def _block(self, kind: tuple[Run, ...]) -> Block:
        hessian = np.eye(self.time)
        for first, number, column, length in kind:
            part = slice(column, column + length)
            hessian[first : first + length, first : first + length] = self.matrices[number].moments[
                part, part
            ]
        return Block.of(hessian)

    def in_wave(self, wave: int) -> NDArray[np.int64]:
        return np.arange(wave, self.count, self.waves)

    def compensation(self, lanes: NDArray[np.int64]) -> Floats:
        """What to add to the weights (n, T) of lanes, so that they make up for the errors of their rows."""
        inside = self._pressure[self._reach : self._reach + self.count * self.time]
        pressure = inside.reshape(self.count, self.time)[lanes]
        result = np.empty_like(pressure)
        for kind, members in _by_kind(self.kind[lanes]):
            result[members] = -pressure[members] @ self.blocks[kind].inverse
        return result

    def add(self, lanes: NDArray[np.int64], errors: Floats) -> None:
        """Let the rows feel the errors (n, T) of lanes."""
        kinds = list(self._kinds)
        for kind, members in _by_kind(self.kind[lanes]):
            for first, number, column, length in kinds[kind]:
                moments = self.matrices[number].moments
                felt = errors[members, first : first + length] @ moments[column : column + length]
                starts = lanes[members] * self.time + first - column + self._reach
                for place, row in zip(starts, felt, strict=True):
                    self._pressure[place : place + len(row)] += row


def _by_kind(kinds: NDArray[np.int64]) -> list[tuple[int, list[int]]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for place, kind in enumerate(kinds.tolist()):
        found[kind].append(place)
    return list(found.items())


def sweep(targets: Floats, classes: NDArray, prices: Prices, lanes: Lanes) -> NDArray[np.int32]:
    """The codes of all lanes (count, T), wave after wave; more than one round over them hardly gains.

    targets: weights in steps (count, T); classes: integers of that shape.
    """
    codes = np.zeros(targets.shape, np.int32)
    weights = lanes.weights.reshape(targets.shape)
    mixings = np.stack([block.mixing for block in lanes.blocks])
    scales = np.stack([block.weights for block in lanes.blocks])
    for wave in range(lanes.waves):
        chosen = lanes.in_wave(wave)
        if not len(chosen):
            continue
        kinds = lanes.kind[chosen]
        aims = targets[chosen] + lanes.compensation(chosen)
        found = best_fed_path(
            aims.T, classes[chosen].T, prices, (scales[kinds] * weights[chosen]).T, mixings[kinds]
        )
        codes[chosen] = found.T
        lanes.add(chosen, points(found, grids_along(found)).T.astype(np.float32) - targets[chosen])
    return codes


def best_fed_path(
    targets: Floats, classes: NDArray, prices: Prices, weights: Floats, mixing: Floats
) -> NDArray[np.int32]:
    """The codes of about the least sum_t weights[t] (e[t] + sum_{s<t} mixing[t, s] e[s])^2 + lambda * bits.

    e = points - targets. targets, classes, weights: (time, lanes); mixing: (lanes, time, time). Returns codes
    (time, lanes).
    """
    time, count = targets.shape
    everyone = np.arange(count)
    total = np.full((STATES, count), UNREACHED)
    total[0] = 0
    errors = np.empty((time, STATES, count), np.float32)
    codes = np.empty((time, STATES, count), np.int32)
    mixing = np.ascontiguousarray(mixing.transpose(1, 2, 0))  # (time, time, lanes)
    for t in range(time):
        felt = np.einsum("tsn,tn->sn", errors[:t], mixing[t, :t]) if t else np.zeros_like(total)
        aims = targets[t] - felt
        magnitudes, costs = _options(aims, classes[t], weights[t], prices)
        ways = [
            total[PREDECESSORS[:, i, 0]] + costs[PREDECESSORS[:, i, 0], PREDECESSORS[:, i, 1]] for i in (0, 1)
        ]
        came = (ways[1] < ways[0]).astype(np.int64)
        total = np.minimum(*ways)
        states = np.arange(STATES)[:, None]
        before, parity = PREDECESSORS[states, came, 0], PREDECESSORS[states, came, 1]
        taken = magnitudes[before, parity, everyone] * np.where(aims < 0, -1, 1)[before, everyone]
        errors[:t] = np.take_along_axis(errors[:t], before[None], 1)
        codes[:t] = np.take_along_axis(codes[:t], before[None], 1)
        codes[t] = taken
        errors[t] = points(taken, before & 1) - targets[t]
    return codes[:, total.argmin(0), everyone]


def _options(
    aims: Floats, classes: NDArray, weights: Floats, prices: Prices
) -> tuple[NDArray[np.int32], Floats]:
    """Best magnitudes and their costs (STATES, parities, lanes) for each state's aims (STATES, lanes)."""
    count = aims.shape[1]
    magnitudes = np.empty((STATES, 2, count), np.int32)
    costs = np.empty((STATES, 2, count), np.float32)
    repeated, heavy = np.tile(classes, STATES // GRIDS), np.tile(weights, STATES // GRIDS)
    for grid in range(GRIDS):
        found = _of_grid(np.abs(aims[grid::GRIDS]).ravel(), grid, repeated, prices, heavy)
        for parity, (cost, magnitude) in enumerate(found):
            costs[grid::GRIDS, parity] = cost.reshape(-1, count)
            magnitudes[grid::GRIDS, parity] = np.reshape(magnitude, (-1, count))
    return magnitudes, costs


def _of_grid(
    size: NDArray, grid: int, classes: NDArray, prices: Prices, weights: Floats
) -> tuple[tuple, tuple]:
    """(costs, magnitudes) (lanes,) of the best even and the best odd code of a grid for sizes (lanes,).

    `weights` (lanes,) are what a squared step of error costs.
    """

    def priced(magnitudes: NDArray) -> tuple[NDArray[np.float32], NDArray]:
        reached = (2 * magnitudes - np.minimum(magnitudes, grid)).astype(np.float32)
        errors = (size - reached) ** 2 * weights
        return errors + prices.costs(magnitudes, classes, grid), magnitudes

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
