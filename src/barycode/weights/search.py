"""The step that makes a file as large as it may be."""

from collections.abc import Callable
from io import BytesIO
from math import log2

from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.weights.directory import Directory, Entry
from barycode.weights.encoding import Settings, write_file
from barycode.weights.formats import FLOATS
from barycode.weights.sources import Source

SAMPLE = 2**21  # entries on which the step is searched for
LEAST = 2**12  # entries that a tensor has in the sample, if it has them at all
CLOSE = 0.996  # of the size asked for is close enough
PASSES = 16
REACH = 40  # octaves from the first step within which the answer must lie
MAX_SLOPE = 2.0  # octaves of the step that halve the file, at first


class Sample:
    """Every nth row of the tensors of a source, so that they have about SAMPLE entries together."""

    def __init__(self, source: Source) -> None:
        self._source = source
        entries = [entry for entry in source.directory.entries if entry.tied_to is None]
        total = sum(entry.size for entry in entries)
        each = total if total <= SAMPLE else max(SAMPLE // len(entries), LEAST)
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

    `size_at` falls with the step. A secant in logarithms, kept inside a bracket. Raises InvalidInputError
    when even the coarsest step is not small enough.
    """
    large: tuple[float, float] | None = None  # log2 of a step and of its size above the limit
    small: tuple[float, float] | None = None
    place, goal = log2(start), log2(limit)
    for _ in range(PASSES):
        size = log2(size_at(2.0**place))
        if size <= goal:
            small = place, size
        else:
            large = place, size
        if small and (goal - small[1] < -log2(CLOSE) or (large and small[0] - large[0] < 1e-4)):
            break
        place = _next(large, small, goal + log2(CLOSE) / 2)
        if abs(place - log2(start)) > REACH:
            break
    if small is None:
        raise InvalidInputError(
            f"The tensors do not fit {limit} bytes even at the coarsest step: ask for more, or let fewer "
            "tensors be kept finer."
        )
    return 2.0 ** small[0]


def _next(large: tuple[float, float] | None, small: tuple[float, float] | None, goal: float) -> float:
    if large and small:
        fraction = (large[1] - goal) / max(large[1] - small[1], 1e-9)
        return large[0] + min(max(fraction, 0.03), 0.97) * (small[0] - large[0])
    place, size = large or small or (0.0, 0.0)
    return place + (1 if large else -1) * max(MAX_SLOPE * abs(size - goal), 0.05) * 1.1


def _stride(entry: Entry, entries: int) -> int:
    """Of the rows that are taken, so that about `entries` entries are."""
    if not entry.shape or entry.size <= entries:
        return 1
    return min(-(-entry.size // entries), entry.shape[0])
