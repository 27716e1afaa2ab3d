"""What became of each tensor."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from barycode.weights.file_format.items import Item
from barycode.weights.file_format.number_formats import to_bits

FILLED = 0.98  # of a size that was asked for
HALF = 0.5  # of a tensor's size: errors above are told


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
        """Of the tensor's entries, its share of everything coded for it."""
        return self.bits / max(self.entries, 1)

    @property
    def relative_error(self) -> float:
        """The root of noise over signal: the error in parts of the tensor's own size."""
        return float((self.noise / self.signal) ** 0.5) if self.signal else 0.0

    @property
    def sqnr(self) -> float:
        """10 log10(signal / noise) in dB; infinite without noise."""
        return _decibels(self.signal, self.noise)


@dataclass(frozen=True)
class Report:
    """A compressed state dict: the bytes of the file, of the tensors before, and what became of each.

    `limit` is the size that was asked for, if one was.
    """

    size: int
    original_size: int
    tensors: tuple[TensorReport, ...]
    limit: int | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user has to know: tensors that are hardly themselves, a size that is far from filled."""
        told = []
        if bad := [tensor for tensor in self.tensors if tensor.relative_error > HALF]:
            worst = max(bad, key=lambda tensor: tensor.relative_error)
            told.append(
                f"{len(bad)} of {len(self.tensors)} tensors came back with errors above half their own size "
                f"(the worst: {worst.name!r}, {worst.relative_error:.2f}): ask for more bytes."
            )
        if self.limit is not None and self.size < FILLED * self.limit:
            why = "all of it is exact" if not self.max_error else "what is left to refine is too little"
            told.append(f"The file has {self.size:,} of the {self.limit:,} bytes that were asked for: {why}.")
        return tuple(told)

    @property
    def entries(self) -> int:
        """Of all tensors, tied ones counted once."""
        return sum(outcome.entries for outcome in self.tensors)

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
        """Of all tensors."""
        return max((outcome.max_error for outcome in self.tensors), default=0.0)

    @property
    def sqnr(self) -> float:
        """Of all tensors that are not exact, in dB."""
        return _decibels(sum(f.signal for f in self.tensors if f.noise), sum(f.noise for f in self.tensors))


def compared(item: Item, reason: str, before: Tensor, after: Tensor, bits: float) -> TensorReport:
    """The report of a tensor that was `before` and comes back as `after`. Entries aside are no signal."""
    if item.aside is not None:
        before, after = item.aside.without(before), item.aside.without(after)
    off, noise, signal = errors(before, after)
    entry = item.entry
    return TensorReport(entry.name, entry.size, item.words, reason, bits, off, noise, signal)


def joined(blocks: Iterable[TensorReport]) -> tuple[TensorReport, ...]:
    """One report a tensor from those of its blocks."""
    tensors: dict[str, list[TensorReport]] = {}
    for block in blocks:
        tensors.setdefault(block.name, []).append(block)
    return tuple(parts[0] if len(parts) == 1 else _sum(parts) for parts in tensors.values())


def _sum(parts: Sequence[TensorReport]) -> TensorReport:
    return replace(
        parts[0],
        entries=sum(part.entries for part in parts),
        bits=sum(part.bits for part in parts),
        max_error=max(part.max_error for part in parts),
        noise=sum(part.noise for part in parts),
        signal=sum(part.signal for part in parts),
    )


def errors(before: Tensor, after: Tensor) -> tuple[float, float, float]:
    """Largest error, sum of squared errors, sum of squares of the finite entries; zeros if there is none."""
    if not before.numel() or bool((to_bits(before) == to_bits(after)).all()):
        return 0.0, 0.0, 0.0
    exact, decoded = _finite(before), _finite(after)
    with np.errstate(over="ignore"):  # of doubles, squares may be infinite
        difference = decoded - exact
        largest = max(float(difference.max()), -float(difference.min()))
        return largest, float(difference @ difference), float(exact @ exact)


def _finite(tensor: Tensor) -> NDArray[np.float64]:
    """The entries (n,), zero for those that are not finite."""
    entries = tensor.double().flatten().numpy()
    return entries if np.isfinite(entries).all() else np.nan_to_num(entries, nan=0, posinf=0, neginf=0)


def _decibels(signal: float, noise: float) -> float:
    if not noise:
        return float("inf")
    return float(10 * np.log10(max(signal, 1e-300) / noise))
