"""The active-set method and its linear systems, compiled by numba: an extra, several times as quick.

The method is that of `active_set`, step by step, and its systems those of `centered_codebook`. There a step is
taken by a block of vectors at once, each operation a pass over memory; here one vector goes to its optimum with
all that it needs in the cache. What comes out is the same up to the order of sums. For codebooks on a CPU that
are small enough to have their inner products at hand.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from barycode.simplex.active_set import NOISE, QUICK, ROUNDED, ROUNDING, SLACK, WORTH_JOINING, Optimum, Program
from barycode.simplex.centered_codebook import CANDIDATES, CenteredCodebook

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOWEST = -1e300  # of a score that does not count
SUMS = {"reassoc", "contract", "nsz"}  # sums in any order; infinities stay
RUN = 16  # numbers that the processor adds at once, or a multiple
compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=SUMS)
inlined = njit(inline="always", error_model="numpy", fastmath=SUMS)


class Book(NamedTuple):
    """A codebook (K', d) and its transpose, inner products, K; up to which support systems are over it."""

    vectors: Floats
    transposed: Floats
    gram: Floats
    size: int
    longest: int


class Limits(NamedTuple):
    """lambda, the tolerance, and the most iterations."""

    shift: float
    tolerance: float
    iterations: int


class Work(NamedTuple):
    """A vector on its way: its support in the first places, what its systems give, and room for both."""

    indices: Integers
    weights: Floats
    pull: Floats
    optimum: Floats
    unit: Floats
    slack: Floats
    dual: Floats
    inner: Floats
    system: Floats


def solve(program: Program, z: Tensor, vertex: Tensor, weights: Tensor, indices: Tensor) -> Optimum:
    """What `Program.solve` finds."""
    book = _book(program.codes, program.regularization, program.tolerance * SLACK)
    limits = Limits(program.regularization, program.tolerance, program.max_iterations)
    start = weights.double().numpy(), indices.numpy()
    found = _solve_rows(book, limits, z.numpy(), vertex.numpy(), start)
    return Optimum(*(torch.from_numpy(part) for part in found))


def solve_systems(
    codes: CenteredCodebook, indices: Tensor, shift: float, right: Tensor, total: float, accuracy: float
) -> Tensor:
    """What `CenteredCodebook.solve` finds."""
    book = _book(codes, shift, accuracy)
    return torch.from_numpy(_solve_systems(book, shift, indices.numpy(), right.numpy(), total))


def _book(codes: CenteredCodebook, shift: float, accuracy: float) -> Book:
    assert codes.gram is not None
    vectors = codes.vectors.numpy()
    longest = codes.longest(shift, accuracy)
    return Book(vectors, np.ascontiguousarray(vectors.T), codes.gram.numpy(), codes.size, longest)


@compiled
def _work(book: Book) -> Work:
    rows, dim = book.vectors.shape
    room = max(rows + CANDIDATES, dim) + RUN
    order = rows + CANDIDATES if book.longest > dim else dim
    return Work(
        np.empty(room, np.int64),
        np.empty(room),
        np.empty(room),
        np.empty(room),
        np.empty(room),
        np.empty(rows),
        np.empty(dim),
        np.empty((2, room)),
        np.empty((order, _bordered(order))),
    )


@compiled
def _solve_rows(
    book: Book, limits: Limits, z: Floats, vertex: Integers, start: tuple[Floats, Integers]
) -> tuple[Floats, Integers, Floats, Integers]:
    count = len(z)
    work = _work(book)
    residuals, iterations = np.empty(count), np.empty(count, np.int64)
    ends = np.zeros(count + 1, np.int64)
    values, codes = np.empty(count * 32), np.empty(count * 32, np.int64)
    for row in range(count):
        size = _enter(book, limits.shift, z[row], vertex[row], work, start[0][row], start[1][row])
        size, residuals[row], iterations[row] = _solve_row(book, limits, z[row], vertex[row], work, size)
        first, last = ends[row], ends[row] + size
        ends[row + 1] = last
        if last > len(values):
            values = np.concatenate((values, np.empty(last)))
            codes = np.concatenate((codes, np.empty(last, np.int64)))
        values[first:last], codes[first:last] = work.weights[:size], work.indices[:size]
    width = max(1, (ends[1:] - ends[:-1]).max()) if count else 1
    weights, indices = np.zeros((count, width)), np.zeros((count, width), np.int64)
    for row in range(count):
        first, last = ends[row], ends[row + 1]
        weights[row, : last - first] = values[first:last]
        indices[row, : last - first] = codes[first:last] * (values[first:last] > 0)
    return weights, indices, residuals, iterations


@compiled
def _enter(book, shift, z, vertex, work, weights, indices):  # type: ignore[no-untyped-def]
    size = 0
    for place in range(len(weights)):
        if weights[place] > 0:
            _add(book, shift, z, vertex, work, size, indices[place])
            work.weights[size] = weights[place]
            size += 1
    return size


@compiled
def _add(book, shift, z, vertex, work, size, code):  # type: ignore[no-untyped-def]
    inner = _product(book.vectors[code], z)
    work.indices[size], work.weights[size] = code, 0.0
    work.pull[size] = inner + shift * (code == vertex)


@compiled
def _solve_row(book, limits, z, vertex, work, size):  # type: ignore[no-untyped-def]
    careful, objective = False, np.inf
    for iteration in range(1, limits.iterations + 1):
        _solve_system(book, limits.shift, work, size, 1.0)
        feasible = work.optimum[:size].min() >= 0
        halfway = careful and not feasible
        size = _move(work, size, halfway)
        last = iteration == limits.iterations
        if last:
            size = _keep_positive(work, size)
        elif halfway:
            size = _keep_positive(work, size)
            continue
        residual, noise, value, level = _price(book, limits.shift, z, vertex, work, size)
        worse = feasible and value >= objective * (1 - ROUNDING)
        reached = feasible and residual <= max(noise, limits.tolerance)
        if reached or last or (worse and careful):
            break
        careful = careful or worse or iteration >= QUICK
        objective = value if feasible else np.inf
        size = _keep_positive(work, size)
        size = _join(book, limits, z, vertex, work, size, level)
    return size, residual, iteration


@compiled
def _move(work, size, halfway):  # type: ignore[no-untyped-def]
    """To the optimum on the support, or towards it until the first weight is zero, which leaves."""
    if not halfway:
        work.weights[:size] = work.optimum[:size]
        return size
    length = 1.0
    for place in range(size):
        if work.optimum[place] < 0:
            length = min(length, work.weights[place] / (work.weights[place] - work.optimum[place]))
    kept = 0
    for place in range(size):
        weight, optimum = work.weights[place], work.optimum[place]
        if optimum >= 0 or weight / (weight - optimum) > length:
            work.weights[kept] = weight + length * (optimum - weight)
            work.indices[kept], work.pull[kept] = work.indices[place], work.pull[place]
            kept += 1
    return kept


@compiled
def _keep_positive(work, size):  # type: ignore[no-untyped-def]
    """The support without the code vectors whose weights are negative."""
    kept, total = 0, 0.0
    for place in range(size):
        if work.weights[place] >= 0:
            work.weights[kept] = work.weights[place]
            work.indices[kept], work.pull[kept] = work.indices[place], work.pull[place]
            total += work.weights[place]
            kept += 1
    work.weights[:kept] /= total
    return kept


@compiled
def _price(book, shift, z, vertex, work, size):  # type: ignore[no-untyped-def]
    """What the optimality conditions say: residual, its noise, objective, t; and the scores, in work.slack."""
    dual, slack, weights, indices = work.dual, work.slack, work.weights, work.indices
    dual[:] = z
    for place in range(size):
        _add_one(dual, -weights[place], book.vectors[indices[place]])
    square = (dual * dual).sum()
    dual /= shift
    slack[:] = 0
    _add_rows(slack, dual, book.transposed)
    slack[vertex] += 1
    level, inside, squares, there = 0.0, 0, 1.0, 0.0
    for place in range(size):
        weight = weights[place]
        slack[indices[place]] -= weight
        squares += weight * weight
        there += weight * (indices[place] == vertex)
        if weight > 0:
            level += slack[indices[place]]
            inside += 1
    level /= inside
    noise = NOISE * (1 + _largest(slack) + ROUNDED * (1 + _largest(z)) / shift)
    uneven = 0.0
    for place in range(size):
        if weights[place] > 0:
            uneven = max(uneven, abs(slack[indices[place]] - level))
        slack[indices[place]] = LOWEST
    slack[book.size :] = LOWEST
    residual = max(_highest(slack) - level, uneven)
    return residual, noise, square / 2 + shift * (squares / 2 - there), level


@compiled
def _join(book, limits, z, vertex, work, size, level):  # type: ignore[no-untyped-def]
    """The support with those of each group's best code vectors that violate the conditions most."""
    groups = work.slack.reshape(CANDIDATES, -1)
    least = max(WORTH_JOINING * (_highest(work.slack) - level), limits.tolerance)
    for number in range(CANDIDATES):
        highest = _highest(groups[number])
        violation = highest - level
        if violation > limits.tolerance and violation >= least:
            place = 0
            while groups[number, place] != highest:
                place += 1
            _add(book, limits.shift, z, vertex, work, size, number * groups.shape[1] + place)
            size += 1
    return size


@njit(cache=True, nogil=True, fastmath=True)
def _highest(numbers):  # type: ignore[no-untyped-def]
    highest = LOWEST
    for number in numbers:
        highest = max(highest, number)
    return highest


@njit(cache=True, nogil=True, fastmath=True)
def _largest(numbers):  # type: ignore[no-untyped-def]
    largest = 0.0
    for number in numbers:
        largest = max(largest, abs(number))
    return largest


@compiled
def _add_rows(target, factors, rows):  # type: ignore[no-untyped-def]
    """target + factors rows, four at a time."""
    count = len(factors)
    whole = count - count % 4
    for place in range(0, whole, 4):
        a, b, c, d = factors[place], factors[place + 1], factors[place + 2], factors[place + 3]
        p, q, r, s = rows[place], rows[place + 1], rows[place + 2], rows[place + 3]
        for column in range(len(target)):
            target[column] += a * p[column] + b * q[column] + c * r[column] + d * s[column]
    for place in range(whole, count):
        _add_one(target, factors[place], rows[place])


@compiled
def _solve_systems(
    book: Book, shift: float, indices: Integers, right: Floats, total: float
) -> Floats:
    work = _work(book)
    x = np.zeros_like(right)
    for row in range(len(right)):
        size = 0
        for place in range(indices.shape[1]):
            if indices[row, place] < book.size:
                work.indices[size], work.pull[size] = indices[row, place], right[row, place]
                size += 1
        _solve_system(book, shift, work, size, total)
        size = 0
        for place in range(indices.shape[1]):
            if indices[row, place] < book.size:
                x[row, place] = work.optimum[size]
                size += 1
    return x


@compiled
def _solve_system(book, shift, work, size, total):  # type: ignore[no-untyped-def]
    """work.optimum, with (C_S C_S^T + shift I) x = pull - nu 1 and sum(x) = total."""
    optimum, unit = work.optimum[:size], work.unit[:size]
    if size <= book.longest:
        _inverse(book, shift, work, size)
    else:
        _inverse_by_dim(book, shift, work, size)
    optimum -= unit * ((optimum.sum() - total) / unit.sum())


@compiled
def _inverse(book, shift, work, size):  # type: ignore[no-untyped-def]
    system, indices = work.system, work.indices
    stop = _bordered(size)
    for row in range(size):
        products = book.gram[indices[row]]
        target = system[row]
        for column in range(row - row % RUN, size):
            target[column] = products[indices[column]]
        target[row] += shift
        target[size:stop] = 0
        target[size], target[size + 1] = work.pull[row], 1
    _factor(system, size, shift)
    _substitute(system, size, work.optimum, work.unit)


@compiled
def _inverse_by_dim(book, shift, work, size):  # type: ignore[no-untyped-def]
    """By Woodbury's formula: d equations."""
    vectors, system, dim = book.vectors, work.system, book.vectors.shape[1]
    one, other = work.inner[0], work.inner[1]
    system[:dim, : _bordered(dim)] = 0
    one[:dim] = 0
    other[:dim] = 0
    for place in range(size):
        _add_one(one[:dim], work.pull[place], vectors[work.indices[place]])
        _add_one(other[:dim], 1.0, vectors[work.indices[place]])
    _add_squares(system, vectors, work.indices, size)
    for axis in range(dim):
        system[axis, axis] += shift
        system[axis, dim], system[axis, dim + 1] = one[axis], other[axis]
    _factor(system, dim, shift)
    _substitute(system, dim, one, other)
    for place in range(size):
        chosen = vectors[work.indices[place]]
        work.optimum[place] = (work.pull[place] - _product(chosen, one)) / shift
        work.unit[place] = (1 - _product(chosen, other)) / shift


@compiled
def _bordered(size):  # type: ignore[no-untyped-def]
    """Columns of a system and its two right sides, in whole runs."""
    return (size + 2 + RUN - 1) // RUN * RUN


@compiled
def _add_squares(system, vectors, indices, size):  # type: ignore[no-untyped-def]
    """The upper half of system + C_S^T C_S, four code vectors at a time."""
    dim = vectors.shape[1]
    whole = size - size % 4
    for place in range(0, whole, 4):
        one, other = vectors[indices[place]], vectors[indices[place + 1]]
        third, fourth = vectors[indices[place + 2]], vectors[indices[place + 3]]
        for row in range(dim):
            begin = row - row % RUN
            a, b, c, d = one[row], other[row], third[row], fourth[row]
            target = system[row, begin:dim]
            p, q, r, s = one[begin:], other[begin:], third[begin:], fourth[begin:]
            for column in range(len(target)):
                target[column] += a * p[column] + b * q[column] + c * r[column] + d * s[column]
    for place in range(whole, size):
        one = vectors[indices[place]]
        for row in range(dim):
            begin = row - row % RUN
            _add_one(system[row, begin:dim], one[row], one[begin:])


@compiled
def _factor(system, size, least):  # type: ignore[no-untyped-def]
    """U in place of the upper half of U^T U, row by row, and U^-T b of two right sides b beside it.

    Rows are worked at in whole runs: what that touches to the left of the diagonal is not read. No pivot
    is below `least` but by rounding.
    """
    stop = _bordered(size)
    for row in range(size):
        begin, whole = row - row % RUN, row - row % 4
        target = system[row, begin:stop]
        for above in range(0, whole, 4):
            a, b = system[above, row], system[above + 1, row]
            c, d = system[above + 2, row], system[above + 3, row]
            p, q = system[above, begin:stop], system[above + 1, begin:stop]
            r, s = system[above + 2, begin:stop], system[above + 3, begin:stop]
            for column in range(len(target)):
                target[column] -= a * p[column] + b * q[column] + c * r[column] + d * s[column]
        for above in range(whole, row):
            _add_one(target, -system[above, row], system[above, begin:stop])
        pivot = system[row, row]
        target *= 1 / np.sqrt(pivot if pivot > 0 else least)


@compiled
def _substitute(system, size, one, other):  # type: ignore[no-untyped-def]
    """U^-1 of the two columns beside U."""
    stop = size + RUN - size % RUN
    one[:stop] = 0
    other[:stop] = 0
    for row in range(size - 1, -1, -1):
        begin = row - row % RUN
        factor = system[row]
        diagonal = factor[row]
        one[row] = (factor[size] - _product(factor[begin:size], one[begin:size])) / diagonal
        other[row] = (factor[size + 1] - _product(factor[begin:size], other[begin:size])) / diagonal


# The loops below run from 0 over whole arrays: only then does the compiler see that no index is negative, which
# would count from the end, and takes several numbers at once.


@inlined
def _add_one(target, factor, row):  # type: ignore[no-untyped-def]
    for column in range(len(target)):
        target[column] += factor * row[column]


@inlined
def _product(one, other):  # type: ignore[no-untyped-def]
    total = 0.0
    for place in range(len(one)):
        total += one[place] * other[place]
    return total
