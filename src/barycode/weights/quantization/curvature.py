"""How much each error of a tensor's codes counts, and with which others: the Hessian, as the choice of codes
wants it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from barycode.weights.calibration.statistics import LayerStatistics

DAMPING = 0.01  # of the mean square of an input, added to each
LEAST_ROW = 1e-2  # of the mean row: no row counts for less
LEAST = 1e-12


@dataclass(frozen=True)
class Group:
    """Rows (R,), positive, that share second moments (J, J), positive definite; both float32."""

    rows: NDArray[np.float32]
    moments: NDArray[np.float32]


@dataclass(frozen=True)
class Curvature:
    """The error E (R, J) of a matrix costs the sum of rows[r] E[r] moments E[r]^T, in squared steps.

    The geometric mean over entries of the cost of an error that later codes can make up for is one.
    """

    groups: tuple[Group, ...]

    @property
    def rows(self) -> int:
        return sum(len(group.rows) for group in self.groups)

    @property
    def columns(self) -> int:
        return len(self.groups[0].moments)

    def scaled(self, gains: NDArray[np.float32]) -> "Curvature":
        """Of errors in units that are gains (J,) times as large."""
        return Curvature(tuple(Group(g.rows, g.moments * gains * gains[:, None]) for g in self.groups))

    def of_rows(self, start: int, stop: int) -> "Curvature":
        """Of the rows `start` to `stop` alone."""
        found, first = [], 0
        for group in self.groups:
            rows = group.rows[max(start - first, 0) : max(stop - first, 0)]
            found += [Group(rows, group.moments)] if len(rows) else []
            first += len(group.rows)
        return Curvature(tuple(found))


def curvature_of(statistics: LayerStatistics, columns: int) -> tuple[Curvature, float]:
    """The curvature of a matrix with J = `columns`, and the geometric mean that it was divided by."""
    rows = statistics.rows.double().numpy()
    rows = np.maximum(rows, max(LEAST_ROW * rows.mean(), LEAST))
    if statistics.moments is None:
        moments = np.eye(columns)[None]
    else:
        moments = statistics.moments.double().numpy()
        squares = moments.diagonal(axis1=1, axis2=2).mean(1)
        moments = moments + (DAMPING * squares + LEAST)[:, None, None] * np.eye(columns)
    # log det is the sum of the logarithms of what each entry costs once those after it have made up for it
    row_log, column_log = np.log(rows).mean(), np.linalg.slogdet(moments)[1].mean() / columns
    scale = float(np.exp(row_log + column_log))
    shares = np.split((rows / np.exp(row_log)).astype(np.float32), len(moments))
    blocks = (moments / np.exp(column_log)).astype(np.float32)
    return Curvature(tuple(Group(*pair) for pair in zip(shares, blocks, strict=True))), scale


@dataclass(frozen=True)
class Matrix:
    """One group of rows, from entry `start` of a sequence on."""

    start: int
    rows: NDArray[np.float32]
    moments: NDArray[np.float32]

    @property
    def columns(self) -> int:
        return len(self.moments)

    @property
    def stop(self) -> int:
        return self.start + len(self.rows) * self.columns


def placed(curvatures: Sequence[tuple[int, Curvature]]) -> list[Matrix]:
    """The groups of rows of tensors that start at these entries of a sequence, in order."""
    matrices = []
    for first, curvature in curvatures:
        start = first
        for group in curvature.groups:
            matrices.append(Matrix(start, group.rows, group.moments))
            start = matrices[-1].stop
    return matrices
