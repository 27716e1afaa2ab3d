"""Bjontegaard's delta rate, picture by picture.

The mean of per-picture figures, never the figure of mean curves: a codec that holds the rate fixed per
picture looks about a decibel better on a mean curve than one that holds the quality fixed.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import bjontegaard
import numpy as np

from barycode.errors import InvalidInputError
from barycode.evaluation.rate_distortion import Row, by_picture

# Monotone piecewise cubics: more quality never costs fewer bits between two points.
METHOD = "pchip"
LEAST_POINTS = 3


@dataclass(frozen=True)
class Window:
    """Where two curves are compared: where the tested codec costs `low` to `high` bpp.

    overlap: the least share of that range of quality which the anchor's curve must reach.
    """

    low: float = 0.1
    high: float = 1.0
    overlap: float = 0.5


@dataclass(frozen=True)
class BDRate:
    """The mean over pictures of the rate difference in per cent: negative when tested is smaller."""

    mean: float
    per_picture: dict[str, float]
    too_little_overlap: tuple[str, ...]

    @property
    def median(self) -> float:
        """Of the pictures that could be compared; NaN if there are none."""
        return statistics.median(self.per_picture.values()) if self.per_picture else math.nan

    @property
    def pictures(self) -> int:
        """How many could be compared."""
        return len(self.per_picture)


@dataclass(frozen=True)
class Curve:
    """Quality and log10 of bpp, both strictly rising."""

    quality: np.ndarray
    log_rate: np.ndarray

    @classmethod
    def of(cls, points: Iterable[tuple[float, float]]) -> "Curve":
        """Keep of (bpp, quality) points those that are better than every cheaper one, and finite."""
        front: list[tuple[float, float]] = []
        for rate, quality in sorted(points):
            if math.isfinite(quality) and (not front or (rate > front[-1][0] and quality > front[-1][1])):
                front.append((rate, quality))
        rates, qualities = np.array(front, dtype=float).reshape(-1, 2).T
        return cls(qualities, np.log10(rates))

    def __len__(self) -> int:
        return len(self.quality)


def bd_rate_of_curves(anchor: Curve, tested: Curve, window: Window) -> float:
    """100 (10^m - 1) per cent, m the mean over quality of log10 rate(tested) - log10 rate(anchor).

    The mean runs over the qualities that both curves reach while tested costs window.low to window.high bpp;
    nan when that is less than window.overlap of the tested codec's range.
    """
    if min(len(anchor), len(tested)) < LEAST_POINTS or not _overlap(anchor, tested):
        return math.nan
    _, anchor_log_rate, tested_log_rate = bjontegaard.bd_rate(
        10**anchor.log_rate, anchor.quality, 10**tested.log_rate, tested.quality,
        method=METHOD, require_matching_points=False, interpolators=True, min_overlap=0,
    )  # fmt: skip
    wanted = [_quality_at(tested_log_rate, tested, bpp) for bpp in (window.low, window.high)]
    low, high = max(wanted[0], anchor.quality[0]), min(wanted[1], anchor.quality[-1])
    if wanted[1] <= wanted[0] or (high - low) < window.overlap * (wanted[1] - wanted[0]):
        return math.nan
    difference = (tested_log_rate.integrate(low, high) - anchor_log_rate.integrate(low, high)) / (high - low)
    return float(100 * (10**difference - 1))


def _overlap(a: Curve, b: Curve) -> bool:
    return max(a.quality[0], b.quality[0]) < min(a.quality[-1], b.quality[-1])


def _quality_at(log_rate: Callable, curve: Curve, bpp: float) -> float:
    """The quality where the interpolated curve costs `bpp`, clamped to the curve's ends."""
    target = float(np.clip(np.log10(bpp), curve.log_rate[0], curve.log_rate[-1]))
    grid = np.linspace(curve.quality[0], curve.quality[-1], 4097)
    return float(np.interp(target, log_rate(grid), grid))


def bd_rate(
    anchor: Sequence[Row], tested: Sequence[Row], quality: str = "psnr", window: Window | None = None
) -> BDRate:
    """The BD-rate of `tested` against `anchor`, a figure a picture, then averaged.

    quality: the Row's property to compare at, "psnr" or "ms_ssim_db". Pictures whose curves share less than
    `window.overlap` of the tested range of quality are named in `too_little_overlap` and not in the mean.
    Raises InvalidInputError unless both sides have the same pictures.
    """
    window = window or Window()
    anchors, tests = by_picture(anchor), by_picture(tested)
    if set(anchors) != set(tests):
        missing = ", ".join(sorted(set(anchors) ^ set(tests))[:3])
        raise InvalidInputError(f"a BD-rate compares the same pictures, but only one side has {missing}.")
    figures = {
        name: bd_rate_of_curves(_curve(anchors[name], quality), _curve(tests[name], quality), window)
        for name in tests
    }
    kept = {name: figure for name, figure in figures.items() if math.isfinite(figure)}
    left_out = tuple(name for name in figures if name not in kept)
    return BDRate(statistics.fmean(kept.values()) if kept else math.nan, kept, left_out)


def _curve(rows: Iterable[Row], quality: str) -> Curve:
    points = ((row.bpp, getattr(row, quality)) for row in rows)
    return Curve.of((rate, value) for rate, value in points if value is not None)
