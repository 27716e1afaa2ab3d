"""The active-set method, compiled: one vector after the other to its optimum, all that it needs in the cache.

The method is that of `barycode.simplex.active_set`, where a step is taken by a block of vectors at once and
each operation is a pass over memory. Scores come from the inner products of the codebook: with b = C z,
lambda times those of the optimality conditions are b - C C_S^T p_S + lambda (p~ - p). Iterations cost so
little that for an even codebook the start is only a glance: the nearest code vector, and those of great inner
products with z.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from barycode.simplex.active_set import NOISE, QUICK, ROUNDED, ROUNDING, WORTH_JOINING
from barycode.simplex.compiled.systems import (
    Book,
    Floats,
    Integers,
    System,
    add_row,
    compiled,
    new_system,
    product,
    solve_system,
)

GROUPS = 8  # of code vectors k mod GROUPS, of which each may send its best one into a support
USUAL = 32  # code vectors in a support; room grows where there are more
LOWEST = -np.inf


class Limits(NamedTuple):
    """lambda, the tolerance times lambda, and the most iterations."""

    shift: float
    tolerance: float
    iterations: int


class Vector(NamedTuple):
    """z (d,), its largest number, b = C z (K') or -inf where no code is, and the index of the nearest."""

    z: Floats
    far: float
    inner: Floats
    vertex: int


class State(NamedTuple):
    """A vector on its way: the weights of the support that is in the system.

    score: (K',). best: (GROUPS,) the highest score of each group. error: (d,).
    """

    system: System
    weights: Floats
    score: Floats
    best: Floats
    error: Floats


class Price(NamedTuple):
    """What the optimality conditions say of feasible weights, times lambda but for the objective.

    residual: the largest violation. noise: what rounding makes of it at the optimum. objective:
    |z - p C|^2 / 2 + lambda |p - p~|^2 / 2. level: t, the mean score of the support. highest: of the others.
    """

    residual: float
    noise: float
    objective: float
    level: float
    highest: float


@compiled
def solve_rows(
    book: Book, limits: Limits, z: Floats, inner: Floats, vertex: Integers, start: tuple[Floats, Integers]
) -> tuple[Floats, Integers, Floats, Integers]:
    """Weights (n, s) and their indices, 0 where the weight is; residuals and iterations (n,).

    start: weights and indices (n, s) of a support to begin with; s = 0 where none is known.
    """
    count = len(z)
    residuals, iterations = np.empty(count), np.empty(count, np.int64)
    starts = np.zeros(count + 1, np.int64)
    weights, codes = np.empty(USUAL * count), np.empty(USUAL * count, np.int64)
    state = _new_state(book)
    for row in range(count):
        vector = Vector(z[row], np.abs(z[row]).max(), inner[row], vertex[row])
        size = _enter(limits.shift, vector, state, start[0][row], start[1][row])
        size, residuals[row], iterations[row] = _solve(book, limits, vector, state, size)
        first, last = starts[row], starts[row] + size
        starts[row + 1] = last
        if last > len(weights):
            weights = np.concatenate((weights, np.empty(last)))
            codes = np.concatenate((codes, np.empty(last, np.int64)))
        weights[first:last], codes[first:last] = state.weights[:size], state.system.indices[:size]
    return _padded(weights, starts), _padded(codes, starts), residuals, iterations


@compiled
def _new_state(book: Book) -> State:
    rows, dim = book.vectors.shape
    system = new_system(book)
    return State(system, np.empty(len(system.right)), np.empty(rows), np.empty(GROUPS), np.empty(dim))


@compiled
def _padded(values, starts):  # type: ignore[no-untyped-def]
    """(n, s) from lists one after the other."""
    count = len(starts) - 1
    width = 1
    for row in range(count):
        width = max(width, starts[row + 1] - starts[row])
    rows = np.zeros((count, width), values.dtype)
    for row in range(count):
        first, last = starts[row], starts[row + 1]
        rows[row, : last - first] = values[first:last]
    return rows


@compiled
def _solve(book: Book, limits: Limits, vector: Vector, state: State, size: int) -> tuple[int, float, int]:
    """How large the support is in the end, the residual, and how many systems were solved."""
    careful, objective = False, np.inf
    for iteration in range(1, limits.iterations + 1):
        solve_system(book, limits.shift, state.system, size, 1.0)
        feasible = state.system.solution[:size].min() >= 0
        last = iteration == limits.iterations
        if careful and not feasible:
            size = _move_towards(state, size)
            if not last:
                continue
        else:
            state.weights[:size] = state.system.solution[:size]
        if last:
            size = _drop_negative(state, size)
        price = _price(book, limits.shift, vector, state, size)
        worse = feasible and price.objective >= objective * (1 - ROUNDING)
        reached = feasible and price.residual <= max(price.noise, limits.tolerance)
        if reached or last or (worse and careful):
            break
        careful = careful or worse or iteration >= QUICK
        objective = price.objective if feasible else np.inf
        size = _join(limits, vector, state, _drop_negative(state, size), price)
    return size, price.residual / limits.shift, iteration


@compiled
def _enter(shift: float, vector: Vector, state: State, weights: Floats, codes: Integers) -> int:
    """A support that is known, or what a glance finds."""
    if len(weights) == 0:
        return _glance(shift, vector, state)
    size = 0
    for place in range(len(weights)):
        if weights[place] > 0:
            _add(shift, vector, state, size, codes[place])
            state.weights[size] = weights[place]
            size += 1
    return size


@compiled
def _glance(shift: float, vector: Vector, state: State) -> int:
    """The nearest code vector with all the weight, and the best of each group in either half of the codes."""
    _add(shift, vector, state, 0, vector.vertex)
    state.weights[0] = 1
    size = 1
    middle = len(vector.inner) // (2 * GROUPS) * GROUPS
    for begin, end in ((0, middle), (middle, len(vector.inner))):
        half = vector.inner[begin:end]
        _best_of_groups(half, state.best)
        for group in range(GROUPS):
            if state.best[group] == LOWEST:
                continue
            code = begin + _code_of(half, state.best, group)
            if code != vector.vertex:
                _add(shift, vector, state, size, code)
                size += 1
    return size


@compiled
def _add(shift: float, vector: Vector, state: State, place: int, code: int) -> None:
    state.system.indices[place], state.weights[place] = code, 0.0
    state.system.right[place] = vector.inner[code] + shift * (code == vector.vertex)


@compiled
def _keep(state: State, place: int, kept: int, weight: float) -> None:
    state.weights[kept] = weight
    state.system.indices[kept] = state.system.indices[place]
    state.system.right[kept] = state.system.right[place]


@compiled
def _drop_negative(state: State, size: int) -> int:
    """The support without the code vectors whose weights are negative; the others sum to one."""
    kept, total = 0, 0.0
    for place in range(size):
        weight = state.weights[place]
        if weight >= 0:
            _keep(state, place, kept, weight)
            total += weight
            kept += 1
    state.weights[:kept] /= total
    return kept


@compiled
def _move_towards(state: State, size: int) -> int:
    """Towards the optimum on the support, until the first weight is zero, which leaves."""
    weights, optimum = state.weights, state.system.solution
    length = 1.0
    for place in range(size):
        if optimum[place] < 0:
            length = min(length, weights[place] / (weights[place] - optimum[place]))
    kept = 0
    for place in range(size):
        weight, end = weights[place], optimum[place]
        if end >= 0 or weight / (weight - end) > length:
            _keep(state, place, kept, max(weight + length * (end - weight), 0.0))
            kept += 1
    return kept


@compiled
def _price(book: Book, shift: float, vector: Vector, state: State, size: int) -> Price:
    """Prices; the scores of the support are -inf then: who is there already cannot join."""
    score, weights, indices = state.score, state.weights, state.system.indices
    _score(book, shift, vector, state, size)
    level, inside, squares, there = 0.0, 0, 1.0, 0.0
    for place in range(size):
        weight = weights[place]
        squares += weight * weight
        there += weight * (indices[place] == vector.vertex)
        if weight > 0:
            level += score[indices[place]]
            inside += 1
    level /= inside
    uneven, largest = 0.0, 0.0
    for place in range(size):
        held = score[indices[place]]
        largest = max(largest, abs(held))
        if weights[place] > 0:
            uneven = max(uneven, abs(held - level))
        score[indices[place]] = LOWEST
    _best_of_groups(score, state.best)
    highest = state.best.max()
    noise = NOISE * (shift + max(largest, highest) + ROUNDED * (1 + vector.far))
    objective = _squared_error(book, vector, state, size) / 2 + shift * (squares / 2 - there)
    return Price(max(highest - level, uneven), noise, objective, level, highest)


@compiled
def _score(book: Book, shift: float, vector: Vector, state: State, size: int) -> None:
    """lambda times the scores, four code vectors of the support at a time."""
    gram, score, weights, indices = book.gram, state.score, state.weights, state.system.indices
    score[:] = vector.inner
    whole = size - size % 4
    for place in range(0, whole, 4):
        a, b, c, d = weights[place], weights[place + 1], weights[place + 2], weights[place + 3]
        p, q = gram[indices[place]], gram[indices[place + 1]]
        r, s = gram[indices[place + 2]], gram[indices[place + 3]]
        for code in range(len(score)):
            score[code] -= a * p[code] + b * q[code] + c * r[code] + d * s[code]
    for place in range(whole, size):
        add_row(score, -weights[place], gram[indices[place]])
    for place in range(size):
        score[indices[place]] -= shift * weights[place]
    score[vector.vertex] += shift


@compiled
def _squared_error(book: Book, vector: Vector, state: State, size: int) -> float:
    """|z - p C|^2; from inner products it would drown in their rounding."""
    error = state.error
    error[:] = vector.z
    for place in range(size):
        add_row(error, -state.weights[place], book.vectors[state.system.indices[place]])
    squared: float = product(error, error)
    return squared


@compiled
def _best_of_groups(score: Floats, best: Floats) -> None:
    best[:] = LOWEST
    for start in range(0, len(score), GROUPS):
        for group in range(GROUPS):
            value = score[start + group]
            best[group] = value if value > best[group] else best[group]


@compiled
def _code_of(score: Floats, best: Floats, group: int) -> int:
    code = group
    while score[code] != best[group]:
        code += GROUPS
    return code


@compiled
def _join(limits: Limits, vector: Vector, state: State, size: int, price: Price) -> int:
    """The support with those of each group's best code vectors that violate the conditions most."""
    least = max(WORTH_JOINING * (price.highest - price.level), limits.tolerance)
    for group in range(GROUPS):
        violation = state.best[group] - price.level
        if violation > limits.tolerance and violation >= least:
            _add(limits.shift, vector, state, size, _code_of(state.score, state.best, group))
            size += 1
    return size
