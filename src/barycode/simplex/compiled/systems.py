"""Linear systems of supports, compiled: Cholesky's method with two right sides.

Loops run from 0 over whole arrays: only then does the compiler see that no index is negative, which would
count from the end, and takes several numbers at once.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from barycode import machine_code

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PANEL = 4  # rows of a factor that are worked at together
SUMS = {"reassoc", "contract", "nsz"}  # sums in any order; infinities and NaN stay


compiled = partial(machine_code.compiled, fastmath=SUMS)


class Book(NamedTuple):
    """A codebook (K', d), its inner products; up to which size a system is one over the support."""

    vectors: Floats
    gram: Floats
    longest: int


class System(NamedTuple):
    """Room for one: indices of a support, right side, the solution of that and of ones, and the factor."""

    indices: Integers
    right: Floats
    solution: Floats
    unit: Floats
    factor: Floats


@compiled
def new_system(book: Book) -> System:
    rows, dim = book.vectors.shape
    order = max(dim, book.longest)
    room = in_panels(rows) + PANEL
    return System(
        np.empty(room, np.int64),
        np.empty(room),
        np.empty(room),
        np.empty(room),
        np.empty((in_panels(order), in_panels(order) + PANEL)),
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
        for column in range(row - row % PANEL, size):
            target[column] = products[indices[column]]
        target[row] += shift
    one, other = _right_sides(factor, size)
    one[:size] = system.right[:size]
    other[:size] = 1
    _factor_and_solve(factor, size, shift)
    system.solution[:size] = one[:size]
    system.unit[:size] = other[:size]


@compiled
def _inverse_by_dim(book: Book, shift: float, system: System, size: int) -> None:
    """By Woodbury's formula: d equations."""
    vectors, factor, indices = book.vectors, system.factor, system.indices
    dim = vectors.shape[1]
    factor[:dim, :dim] = 0
    one, other = _right_sides(factor, dim)
    for place in range(size):
        chosen = vectors[indices[place]]
        for row in range(dim):
            add_row(factor[row, :dim], chosen[row], chosen)
            one[row] += system.right[place] * chosen[row]
            other[row] += chosen[row]
    for row in range(dim):
        factor[row, row] += shift
    _factor_and_solve(factor, dim, shift)
    for place in range(size):
        chosen = vectors[indices[place]]
        system.solution[place] = (system.right[place] - product(chosen, one[:dim])) / shift
        system.unit[place] = (1 - product(chosen, other[:dim])) / shift


@compiled
def _right_sides(factor: Floats, size: int) -> tuple[Floats, Floats]:
    """The two columns behind the system, 0; and what is there between, that of whole panels."""
    whole = in_panels(size)
    factor[:whole, size : whole + PANEL] = 0
    for row in range(size, whole):
        factor[row, row] = 1
    return factor[:whole, whole], factor[:whole, whole + 1]


@compiled
def _factor_and_solve(factor: Floats, size: int, least: float) -> None:
    """U in place of the upper half of U^T U, and its inverse times the two columns behind it in their place.

    PANEL rows at a time are worked at by PANEL of the rows above. What that touches to the left of the
    diagonal is not read. No pivot is below `least` but by rounding.
    """
    whole = in_panels(size)
    stop = whole + PANEL
    for panel in range(0, whole, PANEL):
        one, other = factor[panel, panel:stop], factor[panel + 1, panel:stop]
        third, fourth = factor[panel + 2, panel:stop], factor[panel + 3, panel:stop]
        for above in range(0, panel, PANEL):
            p, q = factor[above, panel:stop], factor[above + 1, panel:stop]
            r, s = factor[above + 2, panel:stop], factor[above + 3, panel:stop]
            a, b, c, d = p[0], q[0], r[0], s[0]
            e, f, g, h = p[1], q[1], r[1], s[1]
            i, j, k, m = p[2], q[2], r[2], s[2]
            n, o, t, u = p[3], q[3], r[3], s[3]
            for column in range(len(one)):
                v, w, x, y = p[column], q[column], r[column], s[column]
                one[column] -= a * v + b * w + c * x + d * y
                other[column] -= e * v + f * w + g * x + h * y
                third[column] -= i * v + j * w + k * x + m * y
                fourth[column] -= n * v + o * w + t * x + u * y
        _scale(one, 0, least)
        add_row(other, -one[1], one)
        _scale(other, 1, least)
        a, b = -one[2], -other[2]
        for column in range(len(one)):
            third[column] += a * one[column] + b * other[column]
        _scale(third, 2, least)
        a, b, c = -one[3], -other[3], -third[3]
        for column in range(len(one)):
            fourth[column] += a * one[column] + b * other[column] + c * third[column]
        _scale(fourth, 3, least)
    _substitute(factor, whole)


@compiled
def _scale(row: Floats, diagonal: int, least: float) -> None:
    pivot = row[diagonal]
    row *= 1 / np.sqrt(pivot if pivot > 0 else least)


@compiled
def _substitute(factor: Floats, size: int) -> None:
    """U^-1 times the two columns behind U."""
    for row in range(size - 1, -1, -1):
        over = factor[row, row + 1 : size]
        one, other = factor[row + 1 : size, size], factor[row + 1 : size, size + 1]
        x, y = factor[row, size], factor[row, size + 1]
        for place in range(len(over)):
            x -= over[place] * one[place]
            y -= over[place] * other[place]
        factor[row, size], factor[row, size + 1] = x / factor[row, row], y / factor[row, row]


@compiled
def in_panels(size: int) -> int:
    """At least size, in whole panels."""
    return (size + PANEL - 1) // PANEL * PANEL


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
