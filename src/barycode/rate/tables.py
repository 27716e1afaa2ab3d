"""Integer frequency tables: the only probabilities that an entropy coder ever sees."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from barycode.container.deflate import inflate
from barycode.errors import CorruptFileError, InvalidInputError

PRECISION = 24  # a row sums to 2**24, so that forty symbols which never occur cost 4e-6 bits, not 1e-3
TOTAL = 2**PRECISION
MAX_SYMBOLS = 2**16
MAX_ENTRIES = 2**22  # 16 MiB of file at the very most
_HEADER = struct.Struct("<II")
_SCALE = 36  # histograms are cut to this many bits a row: times TOTAL it fits 63


@dataclass(frozen=True, eq=False)
class FrequencyTables:
    """T distributions over A symbols, as integers.

    counts: int32 (T, A), every entry at least 1, each row summing to 2**PRECISION; InvalidInputError
    otherwise.
    """

    counts: NDArray[np.int32]

    def __post_init__(self) -> None:
        fault = _fault(self.counts)
        if fault:
            raise InvalidInputError(f"Frequency tables {fault}; build them with FrequencyTables.from_counts.")
        frozen = self.counts.copy()
        frozen.setflags(write=False)
        object.__setattr__(self, "counts", frozen)

    @classmethod
    def from_counts(cls, histograms: ArrayLike) -> "FrequencyTables":
        """The tables closest to non-negative histograms (T, A), integers or floats, by integer arithmetic.

        Entries below 2**-PRECISION of their row get that much, the others share the rest by largest
        remainders; a row of zeros becomes uniform. Raises InvalidInputError for negative, infinite or
        misshapen histograms.
        """
        rows = np.asarray(histograms)
        if rows.ndim != 2 or not 2 <= rows.shape[1] <= MAX_SYMBOLS or rows.size > MAX_ENTRIES:
            raise InvalidInputError(
                f"Histograms have shape {rows.shape}, expected (tables, symbols) with 2 or more symbols."
            )
        if not np.isfinite(rows).all() or (rows < 0).any():
            raise InvalidInputError(
                "Histograms have negative or infinite entries: expected counts or probabilities."
            )
        return cls(_apportion(_to_integers(rows.astype(np.float64))).astype(np.int32))

    @property
    def alphabet(self) -> int:
        """A, the number of symbols of every table."""
        return self.counts.shape[1]

    def __len__(self) -> int:
        """T, the number of tables."""
        return self.counts.shape[0]

    def code_lengths(self) -> NDArray[np.float32]:
        """-log2 of the probability of each symbol: float32 (T, A), in bits."""
        return (PRECISION - np.log2(self.counts)).astype(np.float32)

    def to_bytes(self) -> bytes:
        """T and A, then the entries less one as four planes of bytes, deflated."""
        planes = (self.counts.astype("<u4") - 1).view(np.uint8).reshape(-1, 4).T
        return _HEADER.pack(*self.counts.shape) + zlib.compress(planes.tobytes(), 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> "FrequencyTables":
        """What `to_bytes` wrote; CorruptFileError for anything else, in memory bounded by MAX_ENTRIES."""
        try:
            tables, symbols = _HEADER.unpack_from(data)
            if tables * symbols > MAX_ENTRIES:
                raise CorruptFileError(
                    f"The frequency tables claim {tables} x {symbols} entries: beyond the limit."
                )
        except struct.error as error:
            raise CorruptFileError("The frequency tables are truncated: the file is damaged.") from error
        planes = inflate(data[_HEADER.size :], 4 * tables * symbols, "The frequency tables")
        entries = np.frombuffer(planes, np.uint8).reshape(4, -1).T.copy().view("<u4").astype(np.int64) + 1
        counts = entries.reshape(tables, symbols)
        fault = (
            _fault(counts.astype(np.int32)) if (counts < TOTAL).all() else "have entries beyond their total"
        )
        if fault:
            raise CorruptFileError(f"Frequency tables {fault}: the file is damaged.")
        return cls(counts.astype(np.int32))


def _fault(counts: NDArray[np.int32]) -> str:
    if counts.ndim != 2 or not 2 <= counts.shape[1] <= MAX_SYMBOLS or counts.dtype != np.int32:
        return f"are {counts.dtype} of shape {counts.shape}, expected int32 (tables, 2 symbols or more)"
    if counts.size and counts.min() < 1:
        return "have entries below 1"
    wrong = np.flatnonzero(counts.sum(1, dtype=np.int64) != TOTAL)
    return f"do not sum to 2**{PRECISION} in row {wrong[0]}" if wrong.size else ""


def _to_integers(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each row times the power of two that brings its sum to about 2**_SCALE, rounded; zeros become ones."""
    largest = rows.max(1, initial=0.0, keepdims=True)
    scaled = rows / np.where(largest > 0, largest, 1.0)  # first, so that sums of huge floats stay finite
    _, exponent = np.frexp(scaled.sum(1, keepdims=True))
    integers = np.rint(np.ldexp(scaled, _SCALE - exponent)).astype(np.int64)
    return np.where(largest > 0, integers, 1)


def _apportion(weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """TOTAL shared among each row's weights, every share at least 1."""
    small = np.zeros(weights.shape, bool)
    while True:
        budget = TOTAL - small.sum(1, keepdims=True)
        large = np.where(small, 0, weights)
        total = large.sum(1, keepdims=True)
        below = ~small & (large * budget < total)
        if not below.any():
            break
        small |= below
    shares, remainders = np.divmod(large * budget, total)
    missing = budget - shares.sum(1, keepdims=True)
    ranks = np.argsort(np.argsort(-remainders, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(small, 1, shares + (ranks < missing))
