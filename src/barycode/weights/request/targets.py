"""How small or how exact the file is to be."""

from dataclasses import dataclass
from math import inf, nan
from numbers import Integral, Real

from barycode.errors import InvalidInputError

LEVELS = ("dense", "quick")


@dataclass(frozen=True)
class Lossless:
    """Every bit of every tensor, whatever the rules.

    Level "dense" takes the least bytes, "quick" the least time: at most 2 % more bytes in a fraction of it.
    """

    level: str = "dense"

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise InvalidInputError(f"There is no level {self.level!r}: expected one of {', '.join(LEVELS)}.")


@dataclass(frozen=True)
class Step:
    """Quantize with this step: 0.01 means errors of about 0.003."""

    step: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", _positive("step", self.step))


@dataclass(frozen=True)
class BitsPerWeight:
    """At most so many bits per entry of the state dict, the whole file counted."""

    bits: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", _positive("number of bits per weight", self.bits))


@dataclass(frozen=True)
class Size:
    """At most so many bytes."""

    bytes: int

    def __post_init__(self) -> None:
        if isinstance(self.bytes, bool) or not isinstance(self.bytes, Integral) or self.bytes < 1:
            raise InvalidInputError(
                f"The target's size is {self.bytes!r}: expected a number of bytes, from 1."
            )
        object.__setattr__(self, "bytes", int(self.bytes))


@dataclass(frozen=True)
class MaxError:
    """No quantized weight is off by more than this."""

    error: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "error", _positive("error", self.error))


@dataclass(frozen=True)
class RelativeError:
    """Every tensor keeps its numbers up to errors of this share of their size (root mean squares).

    0.02 is safe for networks that nobody measured, small ones too; what it costs is up to the network.
    """

    error: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "error", _positive("relative error", self.error))


Target = Lossless | Step | BitsPerWeight | Size | MaxError | RelativeError


def checked_target(target: object) -> Target:
    """The target, if it is one; InvalidInputError otherwise."""
    if not isinstance(target, Target):
        raise InvalidInputError(
            f"{target!r} is no target: say what the number means, for example BitsPerWeight(4), Size(10**6), "
            "RelativeError(0.02), MaxError(0.001), Step(0.01) or Lossless()."
        )
    return target


def _positive(what: str, value: object) -> float:
    """A number of Python's or NumPy's as Python's float."""
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else nan
    except OverflowError:
        number = inf
    if not 0 < number < inf:
        raise InvalidInputError(f"The target's {what} is {value!r}: expected a positive, finite number.")
    return number
