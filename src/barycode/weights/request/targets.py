"""How small or how exact the file is to be."""

from dataclasses import dataclass

from barycode.errors import InvalidInputError


@dataclass(frozen=True)
class Lossless:
    """Every bit of every tensor, whatever the rules."""


@dataclass(frozen=True)
class Step:
    """Quantize with this step: 0.01 means errors of about 0.003."""

    step: float

    def __post_init__(self) -> None:
        _check_positive("step", self.step)


@dataclass(frozen=True)
class BitsPerWeight:
    """At most so many bits per entry of the state dict, the whole file counted."""

    bits: float

    def __post_init__(self) -> None:
        _check_positive("number of bits per weight", self.bits)


@dataclass(frozen=True)
class Size:
    """At most so many bytes."""

    bytes: int

    def __post_init__(self) -> None:
        _check_positive("size", self.bytes)


@dataclass(frozen=True)
class MaxError:
    """No quantized weight is off by more than this."""

    error: float

    def __post_init__(self) -> None:
        _check_positive("error", self.error)


Target = Lossless | Step | BitsPerWeight | Size | MaxError


def _check_positive(what: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise InvalidInputError(f"The target asks for a {what} of {value}: expected a positive number.")
