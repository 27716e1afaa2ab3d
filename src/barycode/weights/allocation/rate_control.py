"""The step that makes a file as large as it may be: a model of its size, corrected by every file written."""

from collections.abc import Callable, Mapping, Sequence
from math import exp, inf, log, log2

from barycode.weights.allocation.measure import Measurement
from barycode.weights.allocation.report import Report
from barycode.weights.file_format.directory import Entry

WRITES = 4
GOAL = 0.993  # of the limit
ENOUGH = 0.986  # of the limit: close enough before the last write
LAST = 0.98
HALVINGS = 40
FINEST = 16.0  # octaves below the scale: codes of outliers just fit float32
FARTHEST = 1000.0  # octaves: steps are numbers
REACH = 12.0  # octaves that one write may move
EDGE = 0.02  # of a bracket, from its ends
CORRECTIONS = (0.1, 10.0)  # of a tensor's bits, at one write


class SizeModel:
    """About how many bytes a file has at a step: what is fixed, and what the tensors take at their steps.

    tensors: (entry, fineness) of those that are quantized; shares: multiples of the step, by name.
    """

    def __init__(
        self,
        tensors: Sequence[tuple[Entry, float]],
        measured: Mapping[str, Measurement],
        shares: Mapping[str, float],
        fixed: float,
    ) -> None:
        self._fixed = fixed
        self._measured = {entry.name: measured[entry.name] for entry, _ in tensors}
        self._shares = {entry.name: shares.get(entry.name, 1.0) / fineness for entry, fineness in tensors}
        self._factors = dict.fromkeys(self._shares, 1.0)

    def size(self, place: float) -> float:
        """Bytes at the step 2**place."""
        return self._fixed + sum(self._bits(name, place) for name in self._shares) / 8

    def correct(self, place: float, report: Report) -> None:
        """Learn from the file that was written at 2**place."""
        known = {tensor.name: tensor.bits for tensor in report.tensors}
        self._fixed = report.size - sum(known[name] for name in self._shares) / 8
        for name in self._shares:
            if raw := self._raw(name, place):
                low, high = CORRECTIONS
                self._factors[name] = min(max(known[name] / raw, low), high)

    def ends(self) -> tuple[float, float]:
        """log2 of the finest step that every tensor can have, and of one at which hardly anything is left."""
        units = [
            self._measured[name].scale / share
            for name, share in self._shares.items()
            if self._measured[name].scale
        ]
        largest = min(max(log2(max(units, default=1.0)), -FARTHEST), FARTHEST)
        return (largest - FINEST, largest + 20) if units else (0.0, 0.0)

    def _raw(self, name: str, place: float) -> float:
        return self._measured[name].bits(2.0**place * self._shares[name])

    def _bits(self, name: str, place: float) -> float:
        return self._factors[name] * self._raw(name, place)


def fill(
    write: Callable[[float], Report], model: SizeModel, limit: int, writes: int = WRITES
) -> Report | None:
    """Call `write(step)` up to `writes` times, so that the largest file of at most `limit` bytes has at least
    98 % of it; the report of that file, None if all were too large.
    """
    low, high = model.ends()
    points: dict[float, int] = {}
    best: Report | None = None
    place = _place_of(model.size, GOAL * limit, low, high)
    while True:
        report = write(2.0**place)
        points[place] = report.size
        if report.size <= limit and (best is None or report.size > best.size):
            best = report
        if best is not None and best.size >= ENOUGH * limit:
            break
        model.correct(place, report)
        following = _following(model, points, limit, place)
        if len(points) == writes or following in points or _exact_already(report, limit):
            break
        place = following
    return best


def _exact_already(report: Report, limit: int) -> bool:
    return report.size <= limit and not report.max_error


def _following(model: SizeModel, points: Mapping[float, int], limit: int, last: float) -> float:
    """Where the corrected model meets the goal, not far from the last place and inside what is known."""
    low, high = model.ends()
    above = max((place for place, size in points.items() if size > limit), default=-inf)
    below = min((place for place, size in points.items() if size <= limit), default=inf)
    size = _through(model, points, last)
    if above > -inf and below < inf:
        width = below - above
        place = _place_of(size, GOAL * limit, above, below)
        return min(max(place, above + EDGE * width), below - EDGE * width)
    return min(max(_place_of(size, GOAL * limit, low, high), last - REACH), last + REACH)


def _through(model: SizeModel, points: Mapping[float, int], last: float) -> Callable[[float], float]:
    """The model's size, corrected so that it meets the last point and the nearest other one."""
    others = [place for place in points if place != last]
    if not others:
        return model.size
    nearest = min(others, key=lambda place: abs(place - last))
    slope = log(points[nearest] / model.size(nearest)) / (nearest - last)
    span = abs(nearest - last)
    return lambda place: model.size(place) * exp(slope * min(max(place - last, -2 * span), 2 * span))


def _place_of(size: Callable[[float], float], goal: float, low: float, high: float) -> float:
    """log2 of the finest step from `low` to `high` at which a size that falls has at most `goal` bytes."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if size(middle) <= goal else (middle, high)
    return high
