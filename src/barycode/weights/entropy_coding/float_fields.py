"""Floats of 16 to 64 bits, exactly and fast: exponent and leading mantissa bits in lanes, the rest as bytes.

A number's symbol is its octave relative to the scale of its row and column, and the first bits of its
mantissa, whose distribution falls along the octave. Sign and remaining bits are as good as random in most
networks, so they are stored in planes of bytes, which cost a copy; where they are not, the planes are packed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from barycode.container import ByteReader, ByteWriter
from barycode.errors import CorruptFileError
from barycode.weights.entropy_coding.byte_planes import planes_of, read_plane, write_plane
from barycode.weights.entropy_coding.channel_scales import PER_OCTAVE, Grid, ScaleCoder, Scales
from barycode.weights.entropy_coding.lane_stream import read_symbols, write_symbols
from barycode.weights.entropy_coding.lanes import ALPHABET, lanes_for
from barycode.weights.entropy_coding.symbol_stream import Exchange
from barycode.weights.file_format.number_formats import FloatFormat

HEADS = {7: 4, 10: 3, 23: 4, 52: 1}  # mantissa bits in a symbol, by how many there are: nibbles remain
ABOVE = 4  # octaves over the scale that a symbol can say
ESCAPE, ZERO, FIRST = range(3)  # octaves of a symbol: told aside; exponent zero; the first of the others
ROWS = PER_OCTAVE  # tables: for the place of the scale within its octave
SOME = 512  # entries of a row or column that its scale is measured on
SINGLE_EXPONENT, MAX_FLOAT32_EXPONENT_BIT = 8, 23
OCTAVES = 100  # from one, to which sizes are cut

Bits = NDArray[np.unsignedinteger]


def has_fields(form: FloatFormat | None) -> bool:
    """Whether numbers of this format split into a head and bytes; None: they are no floats."""
    return form is not None and form.mantissa_bits in HEADS


@dataclass(frozen=True)
class _Layout:
    """How a format's numbers split."""

    form: FloatFormat

    @property
    def head(self) -> int:
        return HEADS[self.form.mantissa_bits]

    @property
    def octaves(self) -> int:
        """Of a symbol."""
        return ALPHABET >> self.head

    @property
    def low(self) -> int:
        """Mantissa bits behind the head; the sign is stored above them."""
        return self.form.mantissa_bits - self.head

    @property
    def offset(self) -> int:
        """Of a symbol's octave, over that of the scale."""
        return self.octaves - 1 - ABOVE

    @property
    def kind(self) -> np.dtype:
        return np.dtype(f"<u{(1 + self.form.exponent_bits + self.form.mantissa_bits) // 8}")


class FloatScales:
    """Codes the scales of the tensors of a group."""

    def __init__(self, form: FloatFormat) -> None:
        self._form = form
        self._scales = ScaleCoder()

    def code(
        self, exchange: Exchange, grids: Sequence[Grid], tensors: Sequence[Bits] | None
    ) -> NDArray[np.int32]:
        """The classes of magnitude of all entries, joined."""
        classes = []
        for number, grid in enumerate(grids):
            scales = None if tensors is None else measured(tensors[number], grid, self._form)
            classes.append(self._scales.code(exchange, grid, scales).unbounded())
        return np.concatenate(classes)


def measured(bits: Bits, grid: Grid, form: FloatFormat) -> Scales:
    """The scales of a tensor, each from some of the entries of its line."""
    table = bits.reshape(grid.rows, grid.columns, grid.inner)
    by_row = table[:, :: max(grid.columns * grid.inner // SOME, 1)]
    by_column = table[:: max(grid.rows * grid.inner // SOME, 1)]
    rows, columns = (
        Scales.measure(magnitudes(np.ascontiguousarray(some).ravel(), form), Grid(*some.shape))
        for some in (by_row, by_column)
    )
    return Scales(grid, columns.base, rows.rows, columns.columns)


def magnitudes(bits: Bits, form: FloatFormat) -> NDArray[np.float32]:
    """About the sizes of numbers (n,), cut to what sums of float32 hold; 0 for what is not finite."""
    kind = bits.dtype.type
    if form.exponent_bits == SINGLE_EXPONENT:
        shift = MAX_FLOAT32_EXPONENT_BIT - form.mantissa_bits
        exponents = bits & kind(2**form.exponent_bits - 1 << form.mantissa_bits)
        sizes = (exponents.astype(np.uint32) << np.uint32(shift)).view(np.float32)
    else:
        octaves = (bits >> kind(form.mantissa_bits) & kind(2**form.exponent_bits - 1)).astype(np.int32)
        limit = octaves.dtype.type(2**form.exponent_bits - 1)
        sizes = np.ldexp(np.float32(1), (octaves - form.bias).clip(-OCTAVES, OCTAVES))
        sizes[(octaves == 0) | (octaves == limit)] = 0
    return np.where(sizes < np.float32(2.0**OCTAVES), sizes, np.float32(0))


def pack_floats(bits: Bits, classes: NDArray[np.int32], form: FloatFormat) -> bytes:
    """The bytes for numbers (n,), n > 0, given the classes of magnitude (n,) of their rows and columns."""
    layout, writer = _Layout(form), ByteWriter()
    symbols, outside = _symbols(bits, classes, layout)
    rows = _rows(classes)
    planes = _rest(bits, layout)
    lanes = lanes_for(len(bits))
    carried = planes[-1][: 2 * lanes].view("<u2").astype(np.uint16)
    planes[-1] = planes[-1][2 * lanes :]
    write_symbols(writer, symbols, rows, ROWS, carried)
    if len(outside):
        for plane in planes_of(outside, range(outside.itemsize)):
            write_plane(writer, plane)
    for plane in planes:
        if plane.size:
            write_plane(writer, plane)
    return writer.finish()


def unpack_floats(data: bytes, classes: NDArray[np.int32], form: FloatFormat) -> Bits:
    """The numbers (n,) that `pack_floats` wrote; CorruptFileError for anything else."""
    layout, reader, count = _Layout(form), ByteReader(data, "A group of floats"), len(classes)
    lanes, rows = lanes_for(count), _rows(classes)
    sizes = _plane_sizes(count, layout)
    if sizes[-1] < 2 * lanes:
        raise CorruptFileError(f"{count} numbers are too few for a group of floats: the file is damaged.")
    symbols, carried = read_symbols(reader, rows, ROWS, lanes)
    bits = _high(symbols, classes, reader, layout)
    for place, size in enumerate(sizes):
        last = place == len(sizes) - 1
        told = size - 2 * lanes if last else size
        plane = read_plane(reader, told) if told else np.zeros(0, np.uint8)
        whole = np.concatenate([carried.astype("<u2").view(np.uint8), plane]) if last else plane
        _put(bits, whole, place, layout)
    reader.finish()
    if count % 2 and sizes[-1] < count and whole[-1] >> 4:
        raise CorruptFileError("Half a byte follows the last number of a tensor: the file is damaged.")
    return bits.astype(bits.dtype.newbyteorder("="), copy=False)


def _symbols(bits: Bits, classes: NDArray[np.int32], layout: _Layout) -> tuple[NDArray[np.uint8], NDArray]:
    """Symbols (n,), and the exponents of those numbers whose symbols do not say them."""
    form, kind = layout.form, layout.kind.type
    high = bits >> kind(layout.low)
    exponents = (high >> kind(layout.head) & kind(2**form.exponent_bits - 1)).astype(np.int16)
    octaves = exponents - _octaves(classes, form)
    octaves += np.int16(layout.offset)
    octaves[(octaves < FIRST) | (octaves >= layout.octaves)] = ESCAPE
    octaves[exponents == 0] = ZERO
    symbols = octaves.astype(np.uint8) << np.uint8(layout.head)
    symbols |= high.astype(np.uint8) & np.uint8(2**layout.head - 1)
    outside = exponents[octaves == ESCAPE]
    return symbols, outside.astype(np.uint8 if form.exponent_bits <= 8 else np.uint16)


def _high(symbols: NDArray[np.uint8], classes: NDArray, reader: ByteReader, layout: _Layout) -> Bits:
    """Exponents and heads in their places."""
    form, kind = layout.form, layout.kind.type
    octaves = symbols >> np.uint8(layout.head)
    exponents = octaves.astype(np.int16) - np.int16(layout.offset)
    exponents += _octaves(classes, form)
    exponents[octaves == ZERO] = 0
    outside = np.flatnonzero(octaves == ESCAPE)
    if len(outside):
        width = 1 if form.exponent_bits <= 8 else 2
        planes = [read_plane(reader, len(outside)).astype(np.int16) for _ in range(width)]
        told = sum(plane << 8 * place for place, plane in enumerate(planes))
        shown = told - _octaves(classes[outside], form) + np.int16(layout.offset)
        if ((told == 0) | (shown >= FIRST) & (shown < layout.octaves)).any():
            raise CorruptFileError("A tensor tells exponents that its symbols would say: damaged file.")
        exponents[outside] = told
    if exponents.min() < 0 or exponents.max() >= 2**form.exponent_bits:
        raise CorruptFileError("A tensor has exponents that its numbers cannot have: the file is damaged.")
    bits = exponents.astype(layout.kind) << kind(form.mantissa_bits)
    heads = (symbols & np.uint8(2**layout.head - 1)).astype(layout.kind)
    bits |= heads << kind(layout.low)
    return bits


def _octaves(classes: NDArray[np.int32], form: FloatFormat) -> NDArray[np.int16]:
    """The exponents of the scales."""
    return ((classes >> 2) + np.int32(form.bias)).astype(np.int16)


def _rows(classes: NDArray[np.int32]) -> NDArray[np.uint8]:
    return (classes & PER_OCTAVE - 1).astype(np.uint8)


def _rest(bits: Bits, layout: _Layout) -> list[NDArray[np.uint8]]:
    """Sign and low bits of the mantissa as planes of bytes, low ones first; nibbles are joined in pairs."""
    kind, form = layout.kind.type, layout.form
    rest = bits & kind(2**layout.low - 1)
    rest |= bits >> kind(form.exponent_bits + form.mantissa_bits) << kind(layout.low)
    whole = (layout.low + 1) // 8
    planes = planes_of(rest, range(whole))
    if (layout.low + 1) % 8:
        nibbles = np.zeros(len(bits) + len(bits) % 2, np.uint8)
        nibbles[: len(bits)] = rest >> kind(8 * whole)
        planes.append(nibbles[0::2] | nibbles[1::2] << np.uint8(4))
    return planes


def _plane_sizes(count: int, layout: _Layout) -> list[int]:
    whole, rest = divmod(layout.low + 1, 8)
    return [count] * whole + ([ceil(count / 2)] if rest else [])


def _put(bits: Bits, plane: NDArray[np.uint8], place: int, layout: _Layout) -> None:
    """Put a plane of `_rest` into the numbers."""
    kind, form = layout.kind.type, layout.form
    top = form.exponent_bits + form.mantissa_bits
    if len(plane) < len(bits):
        pairs = np.empty((len(plane), 2), np.uint8)
        pairs[:, 0], pairs[:, 1] = plane & np.uint8(15), plane >> np.uint8(4)
        plane = pairs.ravel()[: len(bits)]
    width = layout.low + 1 - 8 * place
    if width > 8:
        bits.view(np.uint8).reshape(len(bits), -1)[:, place] = plane
        return
    values = plane.astype(layout.kind)  # the sign is in it
    bits |= values >> kind(width - 1) << kind(top)
    values &= kind(2 ** (width - 1) - 1)
    bits |= values << kind(8 * place)
