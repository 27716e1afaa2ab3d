"""What may be done to which tensor. The first rule that applies counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from barycode.errors import InvalidInputError
from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.number_formats import FLOATS


@dataclass(frozen=True)
class Keep:
    """Every bit of the tensor."""


@dataclass(frozen=True)
class Round:
    """Round the mantissa to `bits` bits: a relative error of at most 2**-(bits + 1)."""

    bits: int

    def __post_init__(self) -> None:
        if not 0 <= self.bits <= 52:
            raise InvalidInputError(f"Round to {self.bits} bits of mantissa: expected 0 to 52.")


@dataclass(frozen=True)
class Quantize:
    """Quantize with the step that the target asks for, divided by `fineness`.

    If `balanced`, the step also goes with the root of the tensor's sum of squares, so that the sum of
    relative errors |error|^2 / |tensor|^2 over such tensors is the least at a given rate; the geometric mean
    over their entries is the step asked for. If `leveled`, the step of a column (input channel) goes with the
    size of its entries: every input channel is as exact as any other.
    """

    fineness: float = 1.0
    balanced: bool = False
    leveled: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.fineness < float("inf"):
            raise InvalidInputError(f"A fineness of {self.fineness}: expected a positive number.")


@dataclass(frozen=True)
class Cluster:
    """The K centers of least squared error (exact one-dimensional k-means), and an index for each weight."""

    centers: int

    def __post_init__(self) -> None:
        if not 1 <= self.centers <= 256:
            raise InvalidInputError(f"{self.centers} centers: expected 1 to 256.")


@dataclass(frozen=True)
class Vectors:
    """K code vectors for runs of `dimension` entries, trained on the tensor, and an index for each run.

    Training and choice minimise the squared error, in mean squares of the tensor, + `price` * bits. If
    `shared`, all tensors of this treatment have one codebook, each in units of its root mean square. In one
    dimension, at no price, exact k-means.
    """

    centers: int
    dimension: int = 4
    price: float = 0.0
    shared: bool = False

    def __post_init__(self) -> None:
        if not (2 <= self.centers <= 4096 and 1 <= self.dimension <= 64):
            raise InvalidInputError(
                f"{self.centers} code vectors of {self.dimension} entries: expected 2 to 4096 of 1 to 64."
            )
        if not 0 <= self.price < float("inf"):
            raise InvalidInputError(f"A bit at the price {self.price}: expected a number >= 0.")


Treatment = Keep | Round | Quantize | Cluster | Vectors


@dataclass(frozen=True)
class Rule:
    """A treatment for the tensors whose name is a pattern or matches it (of `fnmatch`: * and ?).

    `dimensions` and `entries`, where given, are the most that a tensor may have for the rule to apply. A rule
    for `tables` is for constants only: whole numbers, smooth sequences, a few numbers (`allocation.measure`),
    and what multiplies matrices of whole numbers (`allocation.integer_scales`).
    """

    pattern: str
    treatment: Treatment
    reason: str
    dimensions: int | None = None
    entries: int | None = None
    tables: bool = False

    def names(self, entry: Entry) -> bool:
        """Whether the tensor's name is the pattern (brackets and all) or matches it."""
        return entry.name == self.pattern or fnmatchcase(entry.name, self.pattern)

    def applies(self, entry: Entry, table: bool = False) -> bool:
        """Whether it is for a tensor; `table` says that it holds constants or a table."""
        return (
            self.names(entry)
            and (table or not self.tables)
            and (self.dimensions is None or len(entry.shape) <= self.dimensions)
            and (self.entries is None or entry.size <= self.entries)
        )


NOT_FLOATS = Rule("*", Keep(), "not real floating-point numbers")
WEIGHTS = Rule("*", Quantize(balanced=True), "weights")
TABLES = Rule("*", Keep(), "a table or constants", tables=True)
DEFAULT_RULES = (
    TABLES,
    Rule("*", Round(6), "vectors (normalisation, biases) are few and sensitive", dimensions=1),
    Rule("*", Round(6), "hardly any entries", entries=256),
    Rule("*", Quantize(balanced=True, leveled=True), "a matrix", dimensions=2),
    WEIGHTS,
)
LOSSLESS_RULES = (Rule("*", Keep(), "lossless"),)


def rule_for(entry: Entry, rules: Iterable[Rule], table: bool = False) -> Rule:
    """The first rule that applies; tensors that are not real floats are always kept."""
    if entry.dtype not in FLOATS:
        return NOT_FLOATS
    return next((rule for rule in rules if rule.applies(entry, table)), WEIGHTS)
