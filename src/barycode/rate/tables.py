"""Integer frequency tables: the only probabilities that reach the entropy coder."""

import numpy as np
import numpy.typing as npt

from barycode.errors import CorruptFileError, InvalidInputError

PRECISION = 16
TOTAL = 2**PRECISION
MAX_ALPHABET = 4096


class FrequencyTables:
    """Rows of integer frequencies (T, A), each entry at least 1, each row summing to 2**PRECISION."""

    def __init__(self, counts: npt.NDArray[np.integer]) -> None:
        counts = np.ascontiguousarray(counts, dtype=np.int32)
        if counts.ndim != 2 or not 1 <= counts.shape[1] <= MAX_ALPHABET:
            raise InvalidInputError(
                f"Frequency tables have shape {counts.shape}: expected (tables, symbols) with 1 to {MAX_ALPHABET} symbols."
            )
        if counts.size and (counts.min() < 1 or (counts.sum(1) != TOTAL).any()):
            raise InvalidInputError(f"Every row of a frequency table must hold positive integers that sum to {TOTAL}.")
        counts.flags.writeable = False
        self.counts = counts

    @property
    def alphabet(self) -> int:
        return self.counts.shape[1]

    def __len__(self) -> int:
        return self.counts.shape[0]

    @classmethod
    def from_counts(cls, histograms: npt.NDArray[np.number]) -> "FrequencyTables":
        """Round histograms (T, A), not negative, to tables: every symbol stays possible, remainders go to the largest.

        A row without counts becomes uniform.
        """
        counts = np.asarray(histograms, dtype=np.float64)
        if counts.ndim != 2 or not np.isfinite(counts).all() or (counts < 0).any():
            raise InvalidInputError("Histograms must be finite, not negative, and of shape (tables, symbols).")
        counts = np.where(counts.sum(1, keepdims=True) > 0, counts, 1.0)
        free = TOTAL - counts.shape[1]
        exact = counts / counts.sum(1, keepdims=True) * free
        whole = np.floor(exact).astype(np.int64)
        order = np.argsort(whole - exact, axis=1, kind="stable")  # largest remainder first
        rank = np.argsort(order, axis=1, kind="stable")
        whole += rank < (free - whole.sum(1, keepdims=True))
        return cls(whole + 1)

    def code_lengths(self) -> npt.NDArray[np.float32]:
        """Bits (T, A) that each symbol costs."""
        return (PRECISION - np.log2(self.counts)).astype(np.float32)

    def to_bytes(self) -> bytes:
        """Shape and frequencies, little endian; the last column follows from the sum."""
        shape = np.array(self.counts.shape, dtype="<u4")
        return shape.tobytes() + (self.counts[:, :-1] - 1).astype("<u2").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "FrequencyTables":
        """Read `to_bytes` back; raises CorruptFileError."""
        if len(data) < 8:
            raise CorruptFileError("The frequency tables are cut short: the file is damaged.")
        rows, columns = (int(n) for n in np.frombuffer(data[:8], "<u4"))
        if not 1 <= columns <= MAX_ALPHABET or len(data) != 8 + 2 * rows * (columns - 1):
            raise CorruptFileError("The frequency tables do not have the size that they announce: the file is damaged.")
        head = np.frombuffer(data, "<u2", offset=8).reshape(rows, columns - 1).astype(np.int64) + 1
        last = TOTAL - head.sum(1, keepdims=True)
        if (last < 1).any():
            raise CorruptFileError("A row of the frequency tables sums to too much: the file is damaged.")
        return cls(np.concatenate([head, last], 1))
