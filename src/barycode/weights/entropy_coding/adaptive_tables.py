"""Frequency tables that learn from what has been coded: integer counts, the same on both sides."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from barycode.rate import PRECISION, FrequencyTables

INCREMENT = 32  # a coded symbol weighs as much as 32 units of the prior
TOTAL = 2**PRECISION


class AdaptiveTables:
    """T tables over A symbols that start at a prior and add up what they are shown.

    prior: non-negative integers (T, A), in units of 1/INCREMENT symbols. All arithmetic is on integers.
    """

    def __init__(self, prior: NDArray[np.int64]) -> None:
        self._counts = prior.astype(np.int64)
        self._tables: FrequencyTables | None = None

    def copy(self) -> "AdaptiveTables":
        """Tables that learn on their own from here."""
        return AdaptiveTables(self._counts)

    @property
    def tables(self) -> FrequencyTables:
        """The tables now; every entry at least 1."""
        if self._tables is None:
            self._tables = FrequencyTables(apportion(self._counts))
        return self._tables

    @contextmanager
    def learning(self) -> Iterator[NDArray[np.int64]]:
        """The counts, for a loop that adds INCREMENT to those of what it codes."""
        self._tables = None
        yield self._counts

    def learn(self, symbols: NDArray, rows: NDArray) -> None:
        """Count symbols (n,) in 0 ... A - 1 under rows (n,)."""
        alphabet = self._counts.shape[1]
        places = rows.astype(np.int64) * alphabet + symbols
        histogram = np.bincount(places, minlength=self._counts.size)
        self._counts += INCREMENT * histogram.reshape(self._counts.shape)
        self._tables = None

    def learn_signed(self, values: NDArray, rows: NDArray) -> None:
        """Count signed values (n,), those beyond the ends as the ends."""
        limit = self._counts.shape[1] // 2
        self.learn(values.clip(-limit, limit) + limit, rows)


def apportion(counts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Counts (T, A) to integers of at least 1 that sum to TOTAL; what is left goes to the largest.

    A row of zeros is uniform; a row may sum to 2**38.
    """
    alphabet = counts.shape[1]
    counts = counts + (counts.sum(1, keepdims=True) == 0)
    shares = 1 + counts * (TOTAL - alphabet) // counts.sum(1, keepdims=True)
    rows = np.arange(len(counts))
    shares[rows, counts.argmax(1)] += TOTAL - shares.sum(1)
    return shares.astype(np.int32)


def flat(tables: int, alphabet: int) -> NDArray[np.int64]:
    """The prior of knowing nothing: one unit each."""
    return np.ones((tables, alphabet), np.int64)
