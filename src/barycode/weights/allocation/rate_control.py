"""The step that makes a file as large as it may be."""

from collections.abc import Callable, Sequence
from io import BytesIO
from math import log2

from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.weights.checkpoints.sources import Source
from barycode.weights.file_format.directory import Directory, Entry
from barycode.weights.file_format.number_formats import FLOATS
from barycode.weights.file_format.writer import Settings, write_file

SAMPLE = 2**21  # entries on which the step is searched for
LEAST = 2**12  # entries that a tensor has in the sample, if it has them at all
CLOSE = 0.996  # of the size asked for is close enough
PASSES = 16
REACH = 40  # octaves from the first step within which the answer must lie
NARROW = 1e-4  # octaves: a bracket as good as closed
FIRST_SLOPE = 0.35  # of the file, that an octave of the step is expected to save
LEAST_SLOPE = 0.02
MARGIN = 0.02  # octaves beyond the goal, so that a bracket is found soon

Point = tuple[float, int]  # log2 of a step, bytes at that step


class Sample:
    """Every nth row of the tensors of a source, so that they have about SAMPLE entries together."""

    def __init__(self, source: Source) -> None:
        self._source = source
        entries = [entry for entry in source.directory.entries if entry.tied_to is None]
        total = sum(entry.size for entry in entries)
        each = total if total <= SAMPLE else max(SAMPLE // len(entries), LEAST)
        self.whole = total <= SAMPLE
        self._strides = {entry.name: _stride(entry, each) for entry in entries}
        self._tensors: dict[str, Tensor] = {}
        self.weights = {e.name: e.size / max(self._thin(e).size, 1) for e in entries}
        self.directory = Directory(tuple(self._thin(entry) for entry in entries), source.directory.metadata)

    def load(self, name: str) -> Tensor:
        if name not in self._tensors:
            tensor, stride = self._source.load(name), self._strides[name]
            self._tensors[name] = tensor[::stride].clone() if stride > 1 else tensor
        return self._tensors[name]

    def _thin(self, entry: Entry) -> Entry:
        stride = self._strides[entry.name]
        shape = (-(-entry.shape[0] // stride), *entry.shape[1:]) if stride > 1 else entry.shape
        return Entry(entry.name, shape, entry.dtype)

    def file_size(self, settings: Settings) -> int:
        """Bytes of the whole source's file, judged by this sample."""
        stream = BytesIO()
        fates = [fate for part in write_file(stream, self, settings) for fate in part]
        beyond = sum((self.weights[fate.name] - 1) * fate.bits for fate in fates)
        return stream.tell() + int(beyond / 8)


def fitting_step(sample: Sample, settings: Settings, limit: int, start: float | None) -> float:
    """The finest step whose file, judged by the sample, has at most `limit` bytes."""
    return largest_below(lambda step: sample.file_size(settings.at(step)), limit, start or first_step(sample))


def first_step(source: Source) -> float:
    """About a third of the entries' root mean square: some two bits a weight."""
    squares, entries = 0.0, 0
    for entry in source.directory.entries:
        if entry.dtype in FLOATS and len(entry.shape) > 1 and entry.size:
            values = source.load(entry.name).double().nan_to_num(0, 0, 0)
            squares, entries = squares + float(values.square().sum()), entries + entry.size
    return (squares / entries) ** 0.5 / 3 if squares else 1.0


def largest_below(size_at: Callable[[float], int], limit: int, start: float) -> float:
    """The finest step found with `size_at(step) <= limit`, up to half a percent of the size.

    `size_at` falls with the step, by about so many bytes an octave: a secant, kept inside a bracket. Raises
    InvalidInputError when even the coarsest step is not small enough.
    """
    points: list[Point] = []
    place = log2(start)
    for _ in range(PASSES):
        if abs(place - log2(start)) > REACH:
            break
        points = sorted([*points, (place, size_at(2.0**place))])
        small = [point for point in points if point[1] <= limit]
        large = [point for point in points if point[1] > limit]
        if _found(large, small, limit):
            break
        place = _next(large, small, limit * (1 + CLOSE) / 2)
    if not small:
        raise InvalidInputError(
            f"The tensors do not fit {limit} bytes even at the coarsest step: ask for more, or let fewer "
            "tensors be kept finer."
        )
    return 2.0 ** small[0][0]


def _found(large: Sequence[Point], small: Sequence[Point], limit: int) -> bool:
    """Close to the limit, or the bracket is closed, or finer steps change nothing any more."""
    if not small:
        return False
    closed = bool(large) and small[0][0] - large[-1][0] < NARROW
    flat = not large and len(small) > 1 and small[0][1] == small[1][1]
    return small[0][1] >= CLOSE * limit or closed or flat


def _next(large: Sequence[Point], small: Sequence[Point], goal: float) -> float:
    """Where the line through the two nearest points meets the goal: log2 of a step."""
    if large and small:
        (a, above), (b, below) = large[-1], small[0]
        return a + min(max((above - goal) / max(above - below, 1), 0.04), 0.96) * (b - a)
    nearest = large[-2:] if large else small[:2]
    (a, above), (b, below) = nearest[0], nearest[-1]
    end = nearest[-1] if large else nearest[0]
    slope = max((above - below) / (b - a), end[1] * LEAST_SLOPE) if a < b else end[1] * FIRST_SLOPE
    move = (end[1] - goal) / slope
    return end[0] + move + (MARGIN if move > 0 else -MARGIN)


def _stride(entry: Entry, entries: int) -> int:
    """Of the rows that are taken, so that about `entries` entries are."""
    if not entry.shape or entry.size <= entries:
        return 1
    return min(-(-entry.size // entries), entry.shape[0])
