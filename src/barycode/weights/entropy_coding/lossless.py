"""Lossless coding: what is predictable in a number (sign, exponent, leading mantissa bits) under tables that
learn, the rest as it is.

An exponent is coded relative to the scale of its row and column, so that all tensors share one set of tables.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from barycode.errors import CorruptFileError
from barycode.weights.entropy_coding.adaptive_tables import AdaptiveTables, flat
from barycode.weights.entropy_coding.channel_scales import PER_OCTAVE, Grid, ScaleCoder, Scales
from barycode.weights.entropy_coding.symbol_stream import Exchange
from barycode.weights.file_format.number_formats import FloatFormat

HEAD_BITS = 7  # leading bits of the mantissa whose distribution is learned
NEARBY = 4  # octaves around the scale within which the mantissa's distribution depends on the exponent
PLANE_BITS = 8
MAX_OCTAVE = 500  # scales are told up to here, so that sums of them stay finite
FIRST_CALL = 64
LAST_CALL = 2**18
CONSTANT, LEARNED, RAW = range(3)  # how a plane is coded
WORTH = 0.995  # of a plane's bits: learned below, raw above

Bits = NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class _Split:
    """The numbers of a float tensor in fields; `None` everywhere while reading."""

    signs: NDArray | None
    exponents: NDArray | None
    mantissas: NDArray | None
    zeros: int | None  # trailing mantissa bits that are zero in every number
    clean: bool | None  # every number whose exponent is zero is +0

    @classmethod
    def of(cls, bits: Bits | None, form: FloatFormat) -> "_Split":
        if bits is None:
            return cls(None, None, None, None, None)
        mantissas = bits & bits.dtype.type(2**form.mantissa_bits - 1)
        high = (bits >> bits.dtype.type(form.mantissa_bits)).astype(np.int64)
        exponents = high & 2**form.exponent_bits - 1
        used = int(np.bitwise_or.reduce(mantissas, initial=0)) | 1 << form.mantissa_bits
        zeros = (used & -used).bit_length() - 1
        clean = not bits[exponents == 0].any()
        places = exponents > 0 if clean else slice(None)
        signs = (high >> form.exponent_bits)[places]
        return cls(signs, exponents, mantissas[places] >> bits.dtype.type(zeros), zeros, clean)


class FloatCoder:
    """Codes tensors of one float format."""

    def __init__(self, form: FloatFormat) -> None:
        self._form = form
        self._scales = ScaleCoder()
        head = min(form.mantissa_bits, HEAD_BITS)
        self._exponents = AdaptiveTables(flat(PER_OCTAVE, 2**form.exponent_bits))
        self._heads = AdaptiveTables(16 * flat((head + 1) * 2 * NEARBY, 2**head))

    def code(self, exchange: Exchange, grid: Grid, bits: Bits | None) -> Bits:
        """The numbers (grid.size,) as integers."""
        form, split = self._form, _Split.of(bits, self._form)
        zeros = int(exchange.uniform(1, 6, None if split.zeros is None else np.array([split.zeros]))[0])
        clean = bool(exchange.uniform(1, 1, None if split.clean is None else np.array([int(split.clean)]))[0])
        if zeros > form.mantissa_bits:
            raise CorruptFileError(f"A tensor has mantissas with {zeros} zero bits: the file is damaged.")
        scales = self._scales.code(exchange, grid, self._measure(split.exponents, grid))
        relative, exponents = self._code_exponents(exchange, scales.unbounded(), split.exponents)
        places = np.flatnonzero(exponents) if clean else np.arange(grid.size)
        signs = code_plane(exchange, len(places), 1, split.signs)
        width = form.mantissa_bits - zeros
        mantissas = self._code_mantissas(exchange, relative[places], width, split.mantissas)
        return self._join(places, signs, exponents, mantissas << np.uint64(zeros))

    def _join(self, places: NDArray, signs: NDArray, exponents: NDArray, mantissas: NDArray) -> Bits:
        """Numbers from fields; signs and mantissas are those at the places, zero elsewhere."""
        form = self._form
        total = exponents.astype(np.uint64) << np.uint64(form.mantissa_bits)
        total[places] |= (
            signs.astype(np.uint64) << np.uint64(form.exponent_bits + form.mantissa_bits) | mantissas
        )
        return total.astype(f"u{(1 + form.exponent_bits + form.mantissa_bits) // 8}")

    def _measure(self, exponents: NDArray | None, grid: Grid) -> Scales | None:
        if exponents is None:
            return None
        ordinary = (exponents > 0) & (exponents < 2**self._form.exponent_bits - 1)
        octaves = (exponents - self._form.bias).clip(-MAX_OCTAVE, MAX_OCTAVE)
        magnitudes = np.ldexp(np.float64(1), octaves.astype(np.int32))
        return Scales.measure(np.where(ordinary, magnitudes, 0), grid)

    def _code_exponents(
        self, exchange: Exchange, classes: NDArray[np.int32], exponents: NDArray | None
    ) -> tuple[NDArray, NDArray]:
        """Exponents less their octave, around zero, and exponents. Symbol 0 is exponent 0, at any octave."""
        span = 2**self._form.exponent_bits - 1
        octaves, rows = classes // PER_OCTAVE + self._form.bias, classes % PER_OCTAVE
        symbols = None
        if exponents is not None:
            symbols = np.where(exponents > 0, (exponents - octaves) % span + 1, 0).astype(np.int32)
        symbols = code_learning(exchange, self._exponents, rows, symbols)
        relative = (symbols - 1 + span // 2) % span - span // 2
        return relative, np.where(symbols > 0, (symbols - 2 + octaves) % span + 1, 0)

    def _code_mantissas(
        self, exchange: Exchange, relative: NDArray, width: int, mantissas: NDArray | None
    ) -> NDArray[np.uint64]:
        head = min(width, HEAD_BITS)
        rows = relative.clip(-NEARBY, NEARBY - 1) + NEARBY + head * 2 * NEARBY
        rest = width - head
        top = None if mantissas is None else (mantissas >> mantissas.dtype.type(rest)).astype(np.int32)
        total = np.zeros(len(relative), np.uint64)
        if head:
            total |= code_learning(exchange, self._heads, rows, top).astype(np.uint64) << np.uint64(rest)
        return total | code_planes(exchange, len(relative), rest, mantissas)


class IntegerCoder:
    """Codes integers of any width, and bits that have no better interpretation."""

    def code(self, exchange: Exchange, count: int, width: int, bits: Bits | None) -> Bits:
        """The numbers (count,) of `width` bits; as differences where those are the cheaper planes."""
        kind = np.dtype(f"u{width // 8}")
        steps = None if bits is None else np.diff(bits, prepend=kind.type(0))
        better = None
        if bits is not None and steps is not None:
            better = np.array([int(_plane_bits(steps, width) < _plane_bits(bits, width))])
        differences = bool(exchange.uniform(1, 1, better)[0])
        values = code_planes(exchange, count, width, steps if differences else bits).astype(kind)
        return np.cumsum(values, dtype=kind) if differences else values


def code_planes(exchange: Exchange, count: int, width: int, values: NDArray | None) -> NDArray[np.uint64]:
    """The low `width` bits of values (count,), as planes of up to eight bits, low ones first."""
    total = np.zeros(count, np.uint64)
    for shift in range(0, width, PLANE_BITS):
        bits = min(PLANE_BITS, width - shift)
        plane = None if values is None else _plane(values, shift, bits)
        total |= code_plane(exchange, count, bits, plane).astype(np.uint64) << np.uint64(shift)
    return total


def code_plane(exchange: Exchange, count: int, bits: int, values: NDArray | None) -> NDArray[np.int64]:
    """Values (count,) of `bits` bits in the way that suits them; of no values, nothing."""
    if not count:
        return np.zeros(0, np.int64)
    told = None if values is None else np.array([_way(values, bits)])
    way = int(exchange.uniform(1, 2, told)[0])
    if way == CONSTANT:
        return np.repeat(exchange.uniform(1, bits, None if values is None else values[:1]), count)
    if way == LEARNED:
        tables = AdaptiveTables(flat(1, 2**bits))
        symbols = None if values is None else values.astype(np.int32)
        return code_learning(exchange, tables, np.zeros(count, np.int64), symbols).astype(np.int64)
    return exchange.uniform(count, bits, values)


def code_learning(
    exchange: Exchange, tables: AdaptiveTables, rows: NDArray, symbols: NDArray[np.int32] | None
) -> NDArray[np.int32]:
    """Symbols (n,) in calls that double, so that the tables learn early and are rarely rebuilt."""
    result, start, size = np.empty(len(rows), np.int32), 0, FIRST_CALL
    while start < len(rows):
        part = slice(start, start + size)
        result[part] = exchange.symbols(tables.tables, rows[part], None if symbols is None else symbols[part])
        tables.learn(result[part], rows[part])
        start, size = start + size, min(2 * size, LAST_CALL)
    return result


def _plane(values: NDArray, shift: int, bits: int) -> NDArray[np.int64]:
    return (values >> values.dtype.type(shift)).astype(np.int64) & 2**bits - 1


def _way(values: NDArray, bits: int) -> int:
    if (values == values[0]).all():
        return CONSTANT
    return LEARNED if _learned_bits(values) < WORTH * bits * len(values) else RAW


def _learned_bits(values: NDArray) -> float:
    """About what learned tables would spend: the entropy, and what it takes to learn each symbol."""
    counts = np.bincount(values)
    counts = counts[counts > 0]
    entropy = float(-(counts * np.log2(counts / len(values))).sum())
    return entropy + len(counts) * (np.log2(len(values)) / 2 + 3)


def integer_bits(bits: Bits) -> float:
    """About what IntegerCoder spends on numbers (n,), n > 0."""
    width = 8 * bits.itemsize
    return min(_plane_bits(bits, width), _plane_bits(np.diff(bits, prepend=bits.dtype.type(0)), width))


def _plane_bits(values: NDArray, width: int) -> float:
    """Of all planes of values (n,), n > 0."""
    planes = (_plane(values, shift, PLANE_BITS) for shift in range(0, width, PLANE_BITS))
    return sum(min(_learned_bits(plane), PLANE_BITS * len(plane)) for plane in planes)
