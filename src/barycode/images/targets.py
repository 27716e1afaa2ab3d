"""What a picture's file should come to, instead of a quality: a size, a rate, or a measured likeness.

The step index is searched. Every encoding made is a point of a curve that is nearly straight over the index,
so the next guess is where the line through the two nearest points meets the target, and three to five
encodings do. They are made in one pass each; the effort that was asked for starts from what they found.
An index is a 32nd of an octave: about 2 % of the size, an eighth of a decibel.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from barycode.errors import InvalidInputError
from barycode.images.steps import INDEX_RANGE

Pixels = np.ndarray  # uint8 (H, W, 3)
Encode = Callable[[int], bytes]
Decode = Callable[[bytes], Pixels]
CLOSE = 0.01  # of the value: near enough to stop
FIRST_GUESS = 12
USUAL_SLOPE = -0.02  # of the logarithm of a size for each index


@dataclass(frozen=True)
class Met:
    """The step index that meets a target, and the file."""

    index: int
    data: bytes


class Target(ABC):
    """A positive value for files to come to; `grows` says whether it is greater for finer steps."""

    value: float
    meaning: ClassVar[str]

    @abstractmethod
    def measure(self, data: bytes, original: Pixels, decode: Decode) -> float:
        """What a file comes to."""

    @abstractmethod
    def allows(self, measured: float) -> bool:
        """Whether a file that comes to this much will do."""

    def __post_init__(self) -> None:
        if not isinstance(self.value, int | float) or not 0 < self.value < math.inf:
            raise InvalidInputError(f"{self.meaning} is {self.value}: expected a number above zero.")


class _AtMost(Target):
    """A budget: the finest steps that stay within it are wanted."""

    def allows(self, measured: float) -> bool:
        return measured <= self.value


class _AtLeast(Target):
    """A likeness: the coarsest steps that reach it are wanted."""

    def allows(self, measured: float) -> bool:
        return measured >= self.value


@dataclass(frozen=True)
class Size(_AtMost):
    """At most so many bytes of file, as near as an index comes."""

    value: float
    meaning = "The size"

    def measure(self, data: bytes, original: Pixels, decode: Decode) -> float:
        return len(data)


@dataclass(frozen=True)
class BitsPerPixel(_AtMost):
    """At most so many bits of file for each pixel, as near as an index comes."""

    value: float
    meaning = "The rate"

    def measure(self, data: bytes, original: Pixels, decode: Decode) -> float:
        return 8 * len(data) / (original.shape[0] * original.shape[1])


@dataclass(frozen=True)
class Psnr(_AtLeast):
    """At least so many decibels, 10 log10(255^2 / mean squared error), in the smallest file."""

    value: float
    meaning = "The PSNR"

    def measure(self, data: bytes, original: Pixels, decode: Decode) -> float:
        difference = decode(data).astype(np.float64) - original
        return 10 * math.log10(255**2 / max(1e-6, float((difference**2).mean())))


@dataclass(frozen=True)
class Likeness(_AtLeast):
    """At least `value` by a metric(original, decoded) of uint8 pictures that grows with likeness."""

    value: float
    metric: Callable[[Pixels, Pixels], float]
    meaning = "The likeness"

    def measure(self, data: bytes, original: Pixels, decode: Decode) -> float:
        return self.metric(original, decode(data))


def meet(target: Target, encode: Encode, original: Pixels, decode: Decode, first: int = FIRST_GUESS) -> Met:
    """The file nearest to a target among those that it allows, searched from the index `first`;
    InvalidInputError where no index gives one.
    """
    budget = isinstance(target, _AtMost)
    finest, coarsest = INDEX_RANGE
    points: dict[int, float] = {}
    met: Met | None = None
    index = first
    while finest <= coarsest:
        data = encode(index)
        points[index] = target.measure(data, original, decode)
        allowed = target.allows(points[index])
        if allowed:  # each one is nearer than the last, since the search moves between those that are not
            met = Met(index, data)
            if abs(points[index] / target.value - 1) < CLOSE:
                break
        if allowed == budget:
            coarsest = index - 1
        else:
            finest = index + 1
        index = min(max(_guess(points, target.value), finest), coarsest)
    if met is None:
        reached = min(points.values(), key=lambda value: abs(value - target.value))
        raise InvalidInputError(
            f"{target.meaning} {target.value:g} is out of reach for this picture: the nearest that it comes "
            f"to is {reached:.4g}."
        )
    return met


def _guess(points: dict[int, float], value: float) -> int:
    """Where the line through the two points nearest to the value, in logarithms, meets it."""
    distance = {i: math.log(max(point, 1e-9) / value) for i, point in points.items()}
    near = sorted(distance, key=lambda i: abs(distance[i]))[:2]
    slope = USUAL_SLOPE
    if len(near) == 2 and distance[near[0]] != distance[near[1]]:
        slope = (distance[near[0]] - distance[near[1]]) / (near[0] - near[1])
    return near[0] - round(distance[near[0]] / slope)
