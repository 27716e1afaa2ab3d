"""The encoder's side of a tensor: from what may be done to it to what is coded."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, frexp, ldexp, log2

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from barycode.quantizers.codebook.kmeans_1d import kmeans_1d
from barycode.weights.allocation.measure import SAMPLE, WINSOR, Measurement, outliers, wide
from barycode.weights.entropy_coding.channel_scales import MAX_GAIN
from barycode.weights.file_format.aside import Aside
from barycode.weights.file_format.codebooks import Codebooks, origin
from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.items import Item
from barycode.weights.file_format.methods import (
    MAX_SHIFT,
    Centers,
    Exact,
    Leveled,
    Plain,
    Table,
    TableCenters,
    Trellis,
)
from barycode.weights.file_format.number_formats import FLOATS, from_bits, to_bits
from barycode.weights.hardened import Hardened
from barycode.weights.quantization.dequantize import dequantize
from barycode.weights.request.rules import Cluster, Keep, Quantize, Round, Rule

MAX_CODE = 2**23  # so that float32 holds the codes
USUAL_CODE = 8  # mean magnitude above which low bits of codes are as good as random
LEAST_STEP, LARGEST_STEP = (float(limit) for limit in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
ATTEMPTS = 4
MOST_ASIDE = 1 / 8  # of a tensor's entries
EVERY_BIT = Exact()
MOST_VALUES = 256  # of a table that is coded by a codebook


@dataclass(frozen=True)
class Prepared:
    """A tensor on its way into a part: the item, its source as `PartCoder` wants it, and why it is so."""

    item: Item
    source: NDArray
    reason: str


@dataclass(frozen=True)
class Budget:
    """The step of a tensor with fineness 1, and the largest error, or that in parts of each tensor's size,
    where one is promised.
    """

    step: float
    max_error: float | None = None
    relative_error: float | None = None
    searched: bool = False  # the step fills a size, so what a tensor costs must not jump


def prepare(
    entry: Entry,
    tensor: Tensor,
    rule: Rule,
    budget: Budget,
    codebooks: Codebooks,
    known: Measurement | None = None,
) -> Prepared:
    """Treat a tensor (or block) as its rule says, or exactly where that cannot be done; not for code vectors.

    `known` is what was measured of the whole tensor.
    """
    treatment = rule.treatment
    if isinstance(treatment, Keep) or not entry.size:
        if rule.tables:
            return _table(entry, tensor, rule.reason, codebooks)
        return exact(entry, tensor, rule.reason)
    if isinstance(treatment, Round):
        return exact(entry, rounded(tensor, _bits(tensor, treatment, budget)), rule.reason)
    known = known or Measurement.of(tensor)
    return with_aside(
        tensor, known.scale, lambda bulk: _quantized(entry, bulk, rule, budget, codebooks, known)
    ) or exact(entry, tensor, "too many entries that are not finite")


def with_aside(tensor: Tensor, scale: float, quantized: Callable[[Tensor], Prepared]) -> Prepared | None:
    """Quantize without the outliers and what is not finite, which are stored aside; None if they are many."""
    where = outliers(wide(tensor).flatten(), scale)
    count = int(where.sum())
    if count > MOST_ASIDE * tensor.numel() + 1:
        return None
    if not count:
        return quantized(tensor)
    aside = Aside.of(tensor, where)
    prepared = quantized(aside.without(tensor))
    item = prepared.item
    if isinstance(item.method, Exact):
        return exact(item.entry, tensor, prepared.reason)
    return replace(prepared, item=replace(item, aside=aside))


def _quantized(
    entry: Entry, tensor: Tensor, rule: Rule, budget: Budget, codebooks: Codebooks, known: Measurement
) -> Prepared:
    treatment = rule.treatment
    if isinstance(treatment, Cluster):
        return _clustered(entry, tensor, treatment, rule.reason, codebooks)
    assert isinstance(treatment, Quantize)
    if budget.max_error is not None:
        return _bounded(entry, tensor, treatment, rule.reason, budget.max_error)
    step = budget.step / treatment.fineness
    if not budget.searched and known.bits(step) >= known.exact_bits:
        return exact(entry, tensor, f"{rule.reason}: every bit costs no more")
    return _on_trellis(entry, tensor, step, rule)


def exact(entry: Entry, tensor: Tensor, reason: str, method: Exact = EVERY_BIT) -> Prepared:
    """Every bit of a tensor, and why."""
    return Prepared(Item(entry, method), to_bits(tensor), reason)


def prepare_hardened(entry: Entry, hardened: Hardened, codebooks: Codebooks) -> Prepared:
    """Codes on a uniform grid, where the centers are one; else ranks among the sorted centers.

    Both count from the center nearest to zero.
    """
    centers, order = hardened.centers.sort(stable=True)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order))
    codes = ranks[hardened.indices.long()].numpy().ravel().astype(np.int32) - origin(centers)
    shift = _shift(float(np.abs(codes).mean()) if codes.size else 0.0)
    step = uniform_step(centers)
    method = Centers(codebooks.place_of(centers), shift) if step is None else Plain(step, shift)
    return Prepared(Item(entry, method), codes, "hardened")


def uniform_step(centers: Tensor) -> float | None:
    """The step of sorted float32 centers that are exactly their ranks, counted from zero, times a step."""
    if centers.dtype != torch.float32 or len(centers) < 2:
        return None
    zero = origin(centers)
    step = float(centers[zero + 1] if zero + 1 < len(centers) else -centers[zero - 1])
    multiples = (torch.arange(len(centers)) - zero).float() * step
    return step if step > 0 and torch.equal(multiples, centers) else None


def rounded(tensor: Tensor, bits: int) -> Tensor:
    """The nearest numbers with `bits` bits of mantissa; those that would become infinite are cut instead.

    Infinities, what is no number, and subnormal numbers, whose mantissas begin with zeros, stay as they are.
    """
    form = FLOATS[tensor.dtype]
    drop = form.mantissa_bits - bits
    if drop <= 0:
        return tensor
    patterns = to_bits(tensor)
    kind = patterns.dtype.type
    low = kind(2**drop - 1)
    up = patterns + kind(2 ** (drop - 1)) & ~low
    infinite = kind(2**form.exponent_bits - 1 << form.mantissa_bits)
    result = np.where(up & infinite == infinite, patterns & ~low, up)
    exponents = patterns & infinite
    result = np.where((exponents == infinite) | (exponents == 0), patterns, result)
    return torch.from_numpy(result.view(np.uint8)).view(tensor.dtype).reshape(tensor.shape)


def _bits(tensor: Tensor, treatment: Round, budget: Budget) -> int:
    """Bits of mantissa: more than asked where the promised error needs them."""
    if budget.relative_error is not None:
        return max(treatment.bits, ceil(-log2(budget.relative_error)) - 1)
    if budget.max_error is None:
        return treatment.bits
    largest = float(tensor.double().nan_to_num(0, 0, 0).abs().max())
    needed = ceil(log2(largest) - log2(budget.max_error)) if largest else 0
    return max(treatment.bits, needed)


def _table(entry: Entry, tensor: Tensor, reason: str, codebooks: Codebooks) -> Prepared:
    """Every bit, by a codebook of the values where there are few of them and each is finite."""
    patterns = to_bits(tensor)
    distinct = np.unique(patterns)
    if len(distinct) <= min(MOST_VALUES, patterns.size // 4):
        by_rank = by_codebook(entry, patterns, distinct, reason, codebooks, table=True)
        if by_rank is not None:
            return by_rank
    return exact(entry, tensor, reason, Table())


def by_codebook(
    entry: Entry, patterns: NDArray, distinct: NDArray, reason: str, codebooks: Codebooks, *, table: bool
) -> Prepared | None:
    """Every bit of a tensor whose numbers are patterns (n,), of which few are `distinct` (sorted), by the
    codebook of all its values; None where there is none: infinities, no numbers, negative zeros.
    """
    values = from_bits(distinct, entry.dtype, (len(distinct),))
    minus_zero = bool(((wide(values) == 0) & wide(values).signbit()).any())
    if minus_zero or not bool(wide(values).isfinite().all()):
        return None
    order = wide(values).argsort()
    centers = values[order]
    ranks = np.argsort(order.numpy())[np.searchsorted(distinct, patterns)] - origin(centers)
    place, codes = codebooks.place_of(centers), ranks.astype(np.int32)
    method = TableCenters(place) if table else Centers(place, _shift(_usual(codes)))
    return Prepared(Item(entry, method), codes, reason)


def _on_trellis(entry: Entry, tensor: Tensor, step: float, rule: Rule) -> Prepared:
    stored = stored_step(step)
    if stored is None:
        return exact(entry, tensor, "a step too small for a file")
    targets = in_steps(wide(tensor), stored)
    wanted = isinstance(rule.treatment, Quantize) and rule.treatment.leveled
    leveled = wanted and not _extreme(targets, MAX_CODE / MAX_GAIN)
    if not leveled and _extreme(targets):
        return exact(entry, tensor, "range too wide for the step")
    shift = _shift(_usual(targets) / 2)
    method = Leveled(stored, shift) if leveled else Trellis(stored, shift)
    return Prepared(Item(entry, method), targets.astype(np.float32), rule.reason)


def _bounded(entry: Entry, tensor: Tensor, treatment: Quantize, reason: str, error: float) -> Prepared:
    """On a uniform grid, with no error above `error`, that of the number format included."""
    step = 2 * error / max(treatment.fineness, 1.0)
    for attempt in range(ATTEMPTS):
        stored = stored_step(step * (1 - 2.0**-10) / 2**attempt)
        if stored is None:
            break
        codes = np.rint(in_steps(tensor.double(), stored))
        if _extreme(codes):
            break
        method = Plain(stored, _shift(_usual(codes)))
        source = codes.astype(np.int32)
        back = dequantize(Item(entry, method), source, [])
        if float((back.double() - tensor.double()).abs().max()) <= error:
            return Prepared(Item(entry, method), source, reason)
    return exact(entry, tensor, "the error asked for is finer than the number format")


def _clustered(
    entry: Entry, tensor: Tensor, treatment: Cluster, reason: str, codebooks: Codebooks
) -> Prepared:
    values = tensor.detach().flatten()
    unit = ldexp(1.0, frexp(float(values.abs().max()))[1] - 1)  # squares of numbers in it are in range
    centers = (kmeans_1d(values.double() / unit, treatment.centers) * unit).to(tensor.dtype).unique()
    middles = (centers[1:].double() + centers[:-1].double()) / 2
    indices = torch.bucketize(values.double(), middles).reshape(tensor.shape)
    prepared = prepare_hardened(entry, Hardened(indices, centers), codebooks)
    return Prepared(prepared.item, prepared.source, reason)


def stored_step(step: float) -> float | None:
    """The float32 that a file has for a step: the largest for what is larger; None for what is too small."""
    return float(np.float32(min(step, LARGEST_STEP))) if step >= LEAST_STEP else None


def in_steps(tensor: Tensor, step: float) -> NDArray[np.floating]:
    """The entries (n,) over the step; infinite where that is beyond their type."""
    with np.errstate(over="ignore"):
        return tensor.numpy().ravel() / step


def _extreme(codes: NDArray, most: float = MAX_CODE) -> bool:
    return bool(np.abs(codes).max() >= most)


def _usual(codes: NDArray) -> float:
    """The magnitude of most codes: low bits are told for every code, so few large ones must not decide."""
    some = np.abs(codes[:: -(-codes.size // SAMPLE)], dtype=np.float64)
    return float(min(np.minimum(some, WINSOR * np.median(some)).mean(), 2 * np.median(some)))


def _shift(mean: float) -> int:
    return int(np.clip(np.ceil(np.log2(max(mean / USUAL_CODE, 1e-9))), 0, MAX_SHIFT))
