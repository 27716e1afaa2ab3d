"""Which way of keeping every bit suits a tensor: the least bytes, or the least time."""

from collections.abc import Sequence
from dataclasses import replace
from math import log2

import numpy as np
import torch
from numpy.typing import NDArray

from barycode.weights.entropy_coding.byte_planes import THOROUGH
from barycode.weights.entropy_coding.channel_scales import Grid
from barycode.weights.entropy_coding.float_fields import has_fields
from barycode.weights.entropy_coding.float_planes import pack_planes
from barycode.weights.entropy_coding.integer_fields import folded, integer_scales, pack_integers
from barycode.weights.entropy_coding.lossless import integer_bits
from barycode.weights.file_format.codebooks import Codebooks
from barycode.weights.file_format.methods import Exact, Fields, Integers, Method, Planes
from barycode.weights.file_format.number_formats import FLOATS, INTEGERS, real_dtype
from barycode.weights.hardened import MAX_CENTERS
from barycode.weights.quantization.quantize import Prepared, by_codebook

DENSE = 0.9  # of the entries
LARGE = 2**14  # entries of one type in a part that are worth tables of their own
REPEATING = 0.75  # different values for a value, below which repeats are looked for
TYPICAL = {4: 26.5, 8: 58.0}  # bits of a float of so many bytes that does not repeat
WORTH = 0.97
_HASH = {4: 0x9E3779B1, 8: 0x9E3779B97F4A7C15}
SOME_BITS = 13  # about 2^13 entries are counted


def by_level(prepared: Sequence[Prepared], quick: bool) -> list[Prepared]:
    """The tensors of a part: exact ones by bytes if quick, else as floats in lanes where there are many."""
    if quick:
        return [_with(each, Planes()) if _plain_exact(each) else each for each in prepared]
    prepared = [_of_integers(each) if _plain_exact(each) else each for each in prepared]
    dense = [_plain_exact(each) and _dense(each) for each in prepared]
    sizes: dict[torch.dtype, int] = {}
    for each, is_dense in zip(prepared, dense, strict=True):
        if is_dense:
            sizes[_type(each)] = sizes.get(_type(each), 0) + each.item.entry.size
    return [
        _with(each, Fields()) if is_dense and sizes[_type(each)] >= LARGE else each
        for each, is_dense in zip(prepared, dense, strict=True)
    ]


def _of_integers(each: Prepared) -> Prepared:
    """A large tensor of integers in the way that takes the least bytes."""
    dtype, bits = each.item.entry.dtype, each.source
    if dtype not in INTEGERS or bits.size < LARGE:
        return each
    numbers = folded(bits, dtype.is_signed)
    scales = integer_scales(numbers, Grid.of(each.item.numbers))
    ways: list[tuple[float, Method]] = [
        (integer_bits(bits), each.item.method),
        (8.0 * len(pack_integers(numbers, scales)), Integers()),
        (8.0 * len(pack_planes(bits, None, THOROUGH)), Planes(THOROUGH)),
    ]
    return _with(each, min(ways, key=lambda way: way[0])[1])


def _plain_exact(each: Prepared) -> bool:
    return type(each.item.method) is Exact and each.item.entry.size > 0


def _type(each: Prepared) -> torch.dtype:
    return real_dtype(each.item.entry.dtype)


def _dense(each: Prepared) -> bool:
    """Whether a tensor has fields and is not sparse: zeros cost less where they are no symbols of a table."""
    if not has_fields(FLOATS.get(_type(each))):
        return False
    return bool(np.count_nonzero(each.source) >= DENSE * each.source.size)


def _with(each: Prepared, method: Method) -> Prepared:
    return replace(each, item=replace(each.item, method=method))


def by_repeats(each: Prepared, codebooks: Codebooks) -> Prepared:
    """An exact tensor by a codebook of its values or by matches, where those repeat and that is smaller."""
    if not _plain_exact(each):
        return each
    entry, bits = each.item.entry, each.source
    if entry.dtype not in FLOATS or bits.itemsize not in TYPICAL or not _repeating(bits):
        return each
    distinct = np.unique(bits)
    typical = TYPICAL[bits.itemsize] - 8 * bits.itemsize + _used_bits(distinct)
    ranked = log2(max(len(distinct), 2)) + 8 * bits.itemsize * len(distinct) / bits.size
    matched = 8 * len(pack_planes(bits, FLOATS[entry.dtype], THOROUGH)) / bits.size
    if len(distinct) <= MAX_CENTERS and ranked < WORTH * min(typical, matched):
        found = by_codebook(
            entry, bits, distinct, f"{each.reason}; its values repeat", codebooks, table=False
        )
        if found is not None:
            return found
    return _with(each, Planes(THOROUGH)) if matched < WORTH * typical else each


def _used_bits(distinct: NDArray) -> int:
    """Of the numbers, without those low ones that are zero in all."""
    used = int(np.bitwise_or.reduce(distinct)) | 1 << 8 * distinct.itemsize - 1
    return 8 * distinct.itemsize - ((used & -used).bit_length() - 1)


def _repeating(bits: NDArray) -> bool:
    """Whether values that are not zero occur several times, from all occurrences of some values."""
    width = 8 * bits.itemsize
    kind = bits.dtype.type
    share = max(bits.size.bit_length() - SOME_BITS, 1)
    some = bits[bits * kind(_HASH[bits.itemsize]) >> kind(width - share) == kind(1)]  # 0 for zero
    return len(np.unique(some)) < REPEATING * some.size
