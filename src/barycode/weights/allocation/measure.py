"""What is measured of a tensor before anything is decided: one pass over a source.

The *scale* is a root mean square that no few entries can decide: magnitudes count up to 16 times the median
of those that are not zero. Steps go with it. A *table* is what is no random weight: see `table_reason`.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from barycode.weights.checkpoints.sources import Source
from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.number_formats import FLOATS, to_bits

WINSOR = 16  # medians up to which a magnitude counts
OUTLIER = 64  # scales beyond which an entry is stored aside
FEW_FAR = 256
CHEAP = 0.6  # of the bits of a weight: worth it for every bit of a table
TABLES_SHARE = 0.05  # of a file
SAMPLE = 2**18  # entries of which medians and entropies are taken
BLOCK = 2**20  # entries that are looked at together
FEW = 8  # entries of which each may be a constant of its own
SMOOTH = 0.1  # mean step from entry to entry, in standard deviations: noise has 1.1
OCTAVES = np.arange(-5, 6.5, 0.5)  # of steps over the scale: where what a tensor costs is measured
FEW_CODES = 2**13
LEAST = sys.float_info.min
MAX_SEEN = 2**12
FARTHEST = 2.0**20  # scales: beyond MAX_SEEN at every step


@dataclass(frozen=True, eq=False)
class Measurement:
    """A real tensor: its scale, what it costs at some steps, and about what every bit of it would cost.

    entropies: float64 (n,), bits an entry of codes at the steps scale * 2**OCTAVES; `slope` is how many more
    an octave below costs.
    """

    size: int
    scale: float
    entropies: NDArray[np.float64]
    slope: float
    exact_bits: float
    table: str | None = None

    @classmethod
    def of(cls, tensor: Tensor) -> "Measurement":
        """Of a real tensor with entries, whatever they are; memory for BLOCK of them."""
        values = tensor.contiguous().flatten()
        scale = _scale(values)
        some = _finite(_sample(values, FEW_CODES))
        with np.errstate(over="ignore"):  # what is beyond all numbers is clipped like the rest
            relative = (some / (scale or 1.0)).clip(-FARTHEST, FARTHEST)
        entropies = np.array([_code_entropy(relative, 2.0**octave) for octave in OCTAVES])
        slope = float((some != 0).mean())
        return cls(tensor.numel(), scale, entropies, slope, exact_bits(tensor), table_reason(tensor))

    def bits(self, step: float) -> float:
        """About what the tensor costs on the trellis with a step."""
        if not self.scale:
            return 0.0
        octave = log2(max(step, LEAST)) - log2(self.scale)
        known = np.interp(octave, OCTAVES, self.entropies)
        return self.size * float(known + self.slope * max(OCTAVES[0] - octave, 0.0))

    def of_rows(self, size: int) -> "Measurement":
        """The same of some rows that have `size` entries together."""
        share = size / self.size
        return replace(self, size=size, exact_bits=self.exact_bits * share)


def measure(source: Source) -> dict[str, Measurement]:
    """Of every real tensor with entries, by name; each is loaded once."""
    return {
        entry.name: Measurement.of(source.load(entry.name).detach().cpu())
        for entry in source.directory.entries
        if entry.tied_to is None and entry.dtype in FLOATS and entry.size
    }


def chosen_tables(
    measured: Mapping[str, Measurement], entries: Sequence[Entry], bits: float, free: int = 0
) -> frozenset[str]:
    """The tables that are worth every bit at `bits` per weight: those that cost CHEAP of that an
    entry, and of the others the cheapest, as long as all together they take at most TABLES_SHARE of the file
    or `free` bytes.
    """
    budget = max(TABLES_SHARE * bits * sum(entry.size for entry in entries), 8 * free)
    chosen, spent = set(), 0.0
    for name, known in sorted(measured.items(), key=lambda pair: pair[1].exact_bits):
        if known.table is None:
            continue
        cheap = known.exact_bits <= CHEAP * bits * known.size
        if cheap or spent + known.exact_bits <= budget:
            chosen.add(name)
            spent += 0.0 if cheap else known.exact_bits
    return frozenset(chosen)


def wide(tensor: Tensor) -> Tensor:
    """The same numbers where there is arithmetic: float64 as it is, everything else float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def outliers(values: Tensor, scale: float) -> Tensor:
    """Where entries (n,) are not finite or over OUTLIER times the scale."""
    finite = values.isfinite()
    return ~finite | (values.abs() > OUTLIER * scale)


def table_reason(tensor: Tensor) -> str | None:
    """Why a tensor holds constants and not weights, if it does: rounding them would show."""
    values = tensor.flatten()
    if all(_are_whole(wide(block)) for block in values.split(BLOCK)):
        return "whole numbers"
    if len(values) <= FEW:
        return f"at most {FEW} numbers"
    if max(tensor.shape) == len(values) and all(is_smooth(wide(block)) for block in values.split(BLOCK)):
        return "a smooth sequence"
    return None


def _are_whole(values: Tensor) -> bool:
    """All but infinities."""
    return bool(((values == values.round()) | values.isinf()).all())


def is_smooth(values: Tensor) -> bool:
    """Whether a sequence (n,) goes one way or has small steps, as tables of frequencies and windows do."""
    if not bool(values.isfinite().all()):
        return False
    steps = values.double().diff()
    spread = float(values.double().std())
    one_way = bool((steps >= 0).all()) or bool((steps <= 0).all())
    return one_way or (len(values) >= 2 * FEW and float(steps.abs().mean()) < SMOOTH * spread)


def exact_bits(tensor: Tensor) -> float:
    """About what every bit of a real tensor costs, from a sample: entropies of values or of their fields."""
    form = FLOATS[tensor.dtype]
    patterns = to_bits(tensor)
    patterns = patterns[:: -(-len(patterns) // SAMPLE)]
    distinct, counts = np.unique(patterns, return_counts=True)
    whole = _entropy(counts) + len(distinct) * 8 * patterns.itemsize / len(patterns)
    mantissas = patterns & patterns.dtype.type(2**form.mantissa_bits - 1)
    exponents = np.unique(patterns >> patterns.dtype.type(form.mantissa_bits), return_counts=True)[1]
    fields = _entropy(exponents) + sum(_plane_entropies(mantissas, form.mantissa_bits))
    return min(whole, fields) * tensor.numel()


def _plane_entropies(values: NDArray, width: int) -> Iterator[float]:
    for shift in range(0, width, 8):
        plane = values >> values.dtype.type(shift) & values.dtype.type(255)
        yield min(_entropy(np.unique(plane, return_counts=True)[1]), width - shift)


def _entropy(counts: NDArray) -> float:
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def _scale(values: Tensor) -> float:
    """The scale of numbers (n,).

    At most one entry in FEW_FAR is beyond OUTLIER times the scale.
    """
    sizes = _Sizes(values)
    counts, most = zip(*((np.count_nonzero(block), float(block.max())) for block in sizes), strict=True)
    if not sum(counts):
        return 0.0
    cap = min(WINSOR * float(np.median(_of_nonzero(sizes, -(-sum(counts) // SAMPLE)))), max(most))
    # Squares of shares are in range; sums by numpy are the same for any number of threads.
    squares = sum(float(np.square(np.minimum(block, cap) / np.float64(cap)).sum()) for block in sizes)
    scale = cap * float((squares / len(values)) ** 0.5)
    some = np.abs(_finite(_sample(values, SAMPLE)))
    far = float(np.partition(some, -(some.size // FEW_FAR) - 1)[-(some.size // FEW_FAR) - 1])
    return max(scale, far / OUTLIER)


class _Sizes:
    """The magnitudes of numbers (n,), n > 0, zero for those that are not finite, block by block each time."""

    def __init__(self, values: Tensor) -> None:
        self._blocks = values.split(BLOCK)
        self._only = np.abs(_finite(values)) if len(self._blocks) == 1 else None

    def __iter__(self) -> Iterator[NDArray[np.floating]]:
        if self._only is not None:
            yield self._only
        else:
            yield from (np.abs(_finite(block)) for block in self._blocks)


def _of_nonzero(sizes: Iterable[NDArray], stride: int) -> NDArray[np.float64]:
    """Every so many of the magnitudes that are not zero."""
    found, seen = [], 0
    for block in sizes:
        nonzero = block[block > 0]
        found.append(nonzero[-seen % stride :: stride].astype(np.float64))
        seen += len(nonzero)
    return np.concatenate(found)


def _finite(values: Tensor) -> NDArray[np.floating]:
    """The numbers (n,), zero for those that are not finite."""
    return wide(values).nan_to_num(0, 0, 0).numpy()


def _sample(values: Tensor, most: int) -> Tensor:
    """At most so many of the entries (n,), evenly."""
    return values[:: -(-len(values) // most)]


def _code_entropy(values: NDArray, step: float) -> float:
    """Bits an entry of codes two steps apart."""
    codes = np.rint((values / (2 * step)).clip(-MAX_SEEN, MAX_SEEN))
    return _entropy(np.unique(codes, return_counts=True)[1])
