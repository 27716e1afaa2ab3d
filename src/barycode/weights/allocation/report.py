"""What became of each tensor."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class TensorReport:
    """One tensor: what it was coded as and why, what it costs, and how far its entries are off.

    `bits` are those of its symbols; directory and framing belong to no tensor. `noise` and `signal` are the
    sums of squares of the errors and of the entries; zero for tensors that are exact.
    """

    name: str
    entries: int
    method: str
    reason: str
    bits: float
    max_error: float
    noise: float
    signal: float

    @property
    def bits_per_weight(self) -> float:
        return self.bits / max(self.entries, 1)

    @property
    def sqnr(self) -> float:
        """10 log10(signal / noise) in dB; infinite without noise."""
        return _decibels(self.signal, self.noise)


@dataclass(frozen=True)
class Report:
    """A compressed state dict: the bytes of the file, of the tensors before, and every tensor's fate."""

    size: int
    original_size: int
    tensors: tuple[TensorReport, ...]

    @property
    def entries(self) -> int:
        """Of all tensors, tied ones counted once."""
        return sum(fate.entries for fate in self.tensors)

    @property
    def bits_per_weight(self) -> float:
        """Of the whole file."""
        return 8 * self.size / max(self.entries, 1)

    @property
    def ratio(self) -> float:
        """How many times smaller the file is than the tensors."""
        return self.original_size / self.size

    @property
    def max_error(self) -> float:
        return max((fate.max_error for fate in self.tensors), default=0.0)

    @property
    def sqnr(self) -> float:
        """Of all tensors that are not exact, in dB."""
        return _decibels(sum(f.signal for f in self.tensors if f.noise), sum(f.noise for f in self.tensors))


def errors(before: Tensor, after: Tensor) -> tuple[float, float, float]:
    """Largest error, sum of squared errors, sum of squares."""
    if not before.numel():
        return 0.0, 0.0, 0.0
    exact = before.double()
    difference = (after.double() - exact).abs()
    return float(difference.max()), float(difference.square().sum()), float(exact.square().sum())


def _decibels(signal: float, noise: float) -> float:
    if not noise:
        return float("inf")
    return float(10 * np.log10(max(signal, 1e-300) / noise))
