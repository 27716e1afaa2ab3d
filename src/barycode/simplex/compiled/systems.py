"""Linear systems of supports, compiled: Cholesky's method with two right sides.

Loops run from 0 over whole arrays: only then does the compiler see that no index is negative, which would
count from the end, and takes several numbers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RUN = 16  # numbers that a loop takes at once, or a multiple
SUMS = {"reassoc", "contract", "nsz"}  # sums in any order; infinities and NaN stay


def compiled(function: Callable[..., Any]) -> Any:
    """The function in machine code, made at its first call and kept where numba keeps it."""
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": SUMS}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no place can be written to
        return njit(**options)(function)


class Book(NamedTuple):
    """A codebook (K', d), its inner products; up to which size a system is one over the support."""

    vectors: Floats
    gram: Floats
    longest: int


class System(NamedTuple):
    """Room for one: indices of a support, right side, solutions, and the factor with what belongs to it."""

    indices: Integers
    right: Floats
    solution: Floats
    unit: Floats
    factor: Floats
    inner: Floats


@compiled
def new_system(book: Book) -> System:
    rows, dim = book.vectors.shape
    order = max(dim, book.longest)
    room = rows + RUN
    return System(
        np.empty(room, np.int64),
        np.empty(room),
        np.empty(room),
        np.empty(room),
        np.empty((order, in_runs(order))),
        np.empty((2, in_runs(dim))),
    )


@compiled
def solve_system(book: Book, shift: float, system: System, size: int, total: float) -> None:
    """solution = x with (C_S C_S^T + shift I) x = right - nu 1 and sum(x) = total."""
    if size <= book.longest:
        _inverse(book, shift, system, size)
    else:
        _inverse_by_dim(book, shift, system, size)
    x, unit = system.solution[:size], system.unit[:size]
    x -= unit * ((x.sum() - total) / unit.sum())


@compiled
def solve_rows(book: Book, shift: float, indices: Integers, right: Floats, total: float) -> Floats:
    """(n, s) solutions, 0 where an index (n, s) is negative and names none."""
    x = np.zeros_like(right)
    system = new_system(book)
    for row in range(len(right)):
        size = 0
        for place in range(indices.shape[1]):
            if indices[row, place] >= 0:
                system.indices[size], system.right[size] = indices[row, place], right[row, place]
                size += 1
        solve_system(book, shift, system, size, total)
        size = 0
        for place in range(indices.shape[1]):
            if indices[row, place] >= 0:
                x[row, place] = system.solution[size]
                size += 1
    return x


@compiled
def _inverse(book: Book, shift: float, system: System, size: int) -> None:
    factor, indices = system.factor, system.indices
    for row in range(size):
        products, target = book.gram[indices[row]], factor[row]
        for column in range(row - row % RUN, size):
            target[column] = products[indices[column]]
        target[row] += shift
    system.solution[:size] = system.right[:size]
    system.unit[:size] = 1
    _factor_and_solve(factor, size, shift, system.solution, system.unit)


@compiled
def _inverse_by_dim(book: Book, shift: float, system: System, size: int) -> None:
    """By Woodbury's formula: d equations."""
    vectors, factor, indices = book.vectors, system.factor, system.indices
    dim = vectors.shape[1]
    one, other = system.inner[0], system.inner[1]
    one[:] = 0
    other[:] = 0
    factor[:dim, : in_runs(dim)] = 0
    for place in range(size):
        add_row(one[:dim], system.right[place], vectors[indices[place]])
        add_row(other[:dim], 1.0, vectors[indices[place]])
    for row in range(dim):
        begin = row - row % RUN
        for place in range(size):
            chosen = vectors[indices[place]]
            add_row(factor[row, begin:dim], chosen[row], chosen[begin:])
        factor[row, row] += shift
    _factor_and_solve(factor, dim, shift, one, other)
    for place in range(size):
        chosen = vectors[indices[place]]
        system.solution[place] = (system.right[place] - product(chosen, one[:dim])) / shift
        system.unit[place] = (1 - product(chosen, other[:dim])) / shift


@compiled
def _factor_and_solve(factor: Floats, size: int, least: float, one: Floats, other: Floats) -> None:
    """U in place of the upper half of U^T U, row by row, and (U^T U)^-1 of two right sides in their place.

    Rows are worked at in whole runs: what that touches to the left of the diagonal, and beyond the last
    column, is not read. No pivot is below `least` but by rounding.
    """
    stop = in_runs(size)
    for row in range(size):
        begin, whole = row - row % RUN, row - row % 4
        target = factor[row, begin:stop]
        x, y = one[row], other[row]
        for above in range(0, whole, 4):
            a, b = factor[above, row], factor[above + 1, row]
            c, d = factor[above + 2, row], factor[above + 3, row]
            p, q = factor[above, begin:stop], factor[above + 1, begin:stop]
            r, s = factor[above + 2, begin:stop], factor[above + 3, begin:stop]
            for column in range(len(target)):
                target[column] -= a * p[column] + b * q[column] + c * r[column] + d * s[column]
            x -= a * one[above] + b * one[above + 1] + c * one[above + 2] + d * one[above + 3]
            y -= a * other[above] + b * other[above + 1] + c * other[above + 2] + d * other[above + 3]
        for above in range(whole, row):
            a = factor[above, row]
            add_row(target, -a, factor[above, begin:stop])
            x -= a * one[above]
            y -= a * other[above]
        pivot = factor[row, row]
        scale = 1 / np.sqrt(pivot if pivot > 0 else least)
        target *= scale
        one[row], other[row] = x * scale, y * scale
    for row in range(size - 1, -1, -1):
        over = factor[row, row + 1 : size]
        diagonal = factor[row, row]
        one[row] = (one[row] - product(over, one[row + 1 : size])) / diagonal
        other[row] = (other[row] - product(over, other[row + 1 : size])) / diagonal


@compiled
def in_runs(size: int) -> int:
    """At least size, in whole runs."""
    return (size + RUN - 1) // RUN * RUN


@compiled
def add_row(target: Floats, factor: float, row: Floats) -> None:
    """Add factor * row."""
    for column in range(len(target)):
        target[column] += factor * row[column]


@compiled
def product(one: Floats, other: Floats) -> float:
    """The inner product."""
    total = 0.0
    for place in range(len(one)):
        total += one[place] * other[place]
    return total
