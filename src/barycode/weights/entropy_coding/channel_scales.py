"""How large the codes of a matrix are expected to be: a class of magnitude for every row and every column.

Rows of a network's weights (output channels) and columns (input channels) have their own scales; told once,
they spare every code the doubt. A class is a quarter of an octave.
"""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from barycode.weights.entropy_coding.adaptive_tables import AdaptiveTables, flat
from barycode.weights.entropy_coding.symbol_stream import Exchange

PER_OCTAVE = 4
LIMIT = 24  # classes that a row or column may differ from the base: six octaves
MAX_GAIN = 2 ** (LIMIT // PER_OCTAVE)
BASE_BITS = 13
BASE_LIMIT = 2 ** (BASE_BITS - 1)
MIN_LINE = 8  # entries a row or column must have to be worth a class of its own
_ROUNDS = 2


@dataclass(frozen=True)
class Grid:
    """A tensor as a matrix: rows, columns with a class, and entries that share a column's class."""

    rows: int
    columns: int
    inner: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "Grid":
        """Output channels, input channels and what is inside a kernel; one line for vectors and scalars."""
        size = prod(shape)
        if len(shape) < 2 or not size:
            return cls(1, 1, size)
        return cls(shape[0], shape[1], prod(shape[2:]))

    @property
    def size(self) -> int:
        return self.rows * self.columns * self.inner

    @property
    def lines(self) -> tuple[int, int]:
        """Rows and columns that have a class: none where there are too few entries in a line."""
        rows = self.rows if self.rows > 1 and self.columns * self.inner >= MIN_LINE else 0
        columns = self.columns if self.columns > 1 and self.rows * self.inner >= MIN_LINE else 0
        return rows, columns


@dataclass(frozen=True)
class Scales:
    """base + row + column is the class of an entry; differences int32 (rows,) and (columns,), or empty."""

    grid: Grid
    base: int
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]

    @classmethod
    def measure(cls, magnitudes: NDArray[np.float32], grid: Grid) -> "Scales":
        """The classes of magnitudes (grid.size,): quarter octaves of means, rows and columns in turn."""
        table = magnitudes.reshape(grid.rows, grid.columns, grid.inner).mean(2, dtype=np.float64)
        mean = float(table.mean()) if table.size else 0.0
        rows, columns = np.ones(grid.rows), np.ones(grid.columns)
        for _ in range(_ROUNDS):
            rows = _ratios(table, columns, mean, 1) if grid.lines[0] else rows
            columns = _ratios(table.T, rows, mean, 1) if grid.lines[1] else columns
        classes = [_classes(r) if n else _NONE for r, n in zip((rows, columns), grid.lines, strict=True)]
        return cls(grid, int(_classes(np.array([mean]), BASE_LIMIT - 1)[0]), *classes)

    def classes(self, count: int, origin: int) -> NDArray[np.uint8]:
        """origin + the class of every entry (grid.size,), cut to 0 ... count - 1."""
        cut = (self._table() + origin).clip(0, count - 1).astype(np.uint8)
        return np.repeat(cut.ravel(), self.grid.inner)

    def unbounded(self) -> NDArray[np.int32]:
        """base + row + column of every entry (grid.size,)."""
        return np.repeat(self._table().ravel(), self.grid.inner)

    def leveled(self) -> "Scales":
        """The same once every entry is divided by its column's gain."""
        return Scales(self.grid, self.base, self.rows, _NONE)

    def gains(self) -> NDArray[np.float32]:
        """2**(class / 4) of the column of every entry (grid.size,)."""
        classes = self.columns if self.columns.size else np.zeros(self.grid.columns, np.int32)
        gains = np.ldexp(_QUARTERS[classes % PER_OCTAVE], classes // PER_OCTAVE)
        return np.tile(np.repeat(gains, self.grid.inner), self.grid.rows)

    def _table(self) -> NDArray[np.int32]:
        total = np.full((self.grid.rows, self.grid.columns), self.base, np.int32)
        if self.rows.size:
            total += self.rows[:, None]
        if self.columns.size:
            total += self.columns[None]
        return total


_NONE = np.zeros(0, np.int32)
_QUARTERS = np.array([65536, 77936, 92682, 110218], np.float32) / np.float32(65536)  # 2**(n / 4)


def _ratios(table: NDArray, others: NDArray, mean: float, axis: int) -> NDArray[np.float64]:
    ratios = (table / others).mean(axis) / max(mean, 1e-30)
    return np.maximum(ratios, 2.0 ** (-LIMIT / PER_OCTAVE))


def _classes(magnitudes: NDArray[np.float64], limit: int = LIMIT) -> NDArray[np.int32]:
    classes = np.rint(PER_OCTAVE * np.log2(np.maximum(magnitudes, 1e-30)))
    return classes.clip(-limit, limit).astype(np.int32)


class ScaleCoder:
    """Codes scales as differences from line to line, under tables that learn."""

    def __init__(self) -> None:
        prior = flat(2, 2 * 2 * LIMIT + 1) + 64 // (1 + np.abs(np.arange(-2 * LIMIT, 2 * LIMIT + 1)))
        self._tables = AdaptiveTables(prior)

    def code(self, exchange: Exchange, grid: Grid, scales: Scales | None) -> Scales:
        told = None if scales is None else np.array([scales.base + BASE_LIMIT])
        base = exchange.uniform(1, BASE_BITS, told)[0] - BASE_LIMIT
        lines = [
            self._line(exchange, kind, count, None if scales is None else (scales.rows, scales.columns)[kind])
            for kind, count in enumerate(grid.lines)
        ]
        return Scales(grid, int(base), *lines)

    def _line(
        self, exchange: Exchange, kind: int, count: int, classes: NDArray[np.int32] | None
    ) -> NDArray[np.int32]:
        rows = np.full(count, kind)
        steps = None if classes is None else np.diff(classes, prepend=0).astype(np.int32)
        steps = exchange.signed(self._tables.tables, rows, steps)
        self._tables.learn_signed(steps, rows)
        return np.cumsum(steps, dtype=np.int64).clip(-LIMIT, LIMIT).astype(np.int32)
