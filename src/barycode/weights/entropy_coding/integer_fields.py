"""Integers of 8 to 64 bits, exactly and fast: length and first bits in lanes, the rest as bytes.

Rows and columns have scales of their own, as those of weights: quantized networks, differences of networks.
"""

import numpy as np
from numpy.typing import NDArray

from barycode.container import ByteReader, ByteWriter
from barycode.errors import CorruptFileError
from barycode.weights.entropy_coding.byte_planes import planes_of, read_plane, write_plane
from barycode.weights.entropy_coding.channel_scales import Grid, Scales
from barycode.weights.entropy_coding.lane_stream import read_symbols, write_symbols
from barycode.weights.entropy_coding.lanes import LANES

ROWS = 16  # tables, of half octaves around the mean scale
STEPS = 256  # numbers of a lane, at least
SMALL = 3  # bits of a number that its symbol says wholly
HEAD = 2  # bits behind the first one that the symbol of a longer number says

Bits = NDArray[np.unsignedinteger]


def folded(bits: Bits, signed: bool) -> Bits:
    """Numbers without signs: 0, -1, 1, -2 ... in order, where they have signs."""
    if not signed:
        return bits
    kind, top = bits.dtype.type, 8 * bits.itemsize - 1
    return bits << kind(1) ^ (kind(0) - (bits >> kind(top)))


def unfolded(numbers: Bits, signed: bool) -> Bits:
    """The bits of what `folded` gave."""
    if not signed:
        return numbers
    kind = numbers.dtype.type
    return numbers >> kind(1) ^ (kind(0) - (numbers & kind(1)))


def integer_scales(numbers: Bits, grid: Grid) -> Scales:
    """The scales of folded numbers (n,)."""
    return Scales.measure(numbers.astype(np.float32), grid)


def pack_integers(numbers: Bits, scales: Scales) -> bytes:
    """The bytes for folded numbers (n,), n > 0, whose scales are told elsewhere."""
    writer, rows = ByteWriter(), _rows(scales)
    lengths = _lengths(numbers)
    symbols = _symbols(numbers, lengths)
    write_symbols(writer, symbols, rows, ROWS, np.zeros(_lanes(len(rows)), np.uint16))
    if numbers.itemsize > 1:
        _write_rest(writer, numbers, lengths)
    return writer.finish()


def unpack_integers(data: bytes, scales: Scales, width: int) -> Bits:
    """The folded numbers (n,) of `width` bytes that `pack_integers` wrote."""
    reader, rows = ByteReader(data, "A tensor of integers"), _rows(scales)
    symbols, carried = read_symbols(reader, rows, ROWS, _lanes(len(rows)))
    if carried.any():
        raise CorruptFileError("No encoder writes these coded symbols: the file is damaged.")
    numbers = symbols.astype(f"=u{width}") if width == 1 else _read_rest(reader, symbols, width)
    reader.finish()
    return numbers


def _lanes(count: int) -> int:
    """How many lanes code so many numbers: few, since they carry nothing."""
    return max(min(LANES, count // STEPS), 1)


def _rows(scales: Scales) -> NDArray[np.uint8]:
    """The table of every entry."""
    classes = scales.unbounded()
    classes -= np.int32(scales.base)
    return ((classes >> 1) + ROWS // 2).clip(0, ROWS - 1).astype(np.uint8)


def _lengths(numbers: Bits) -> NDArray[np.uint8]:
    """The number of bits of each."""
    lengths = np.zeros(len(numbers), np.uint8)
    rest = numbers.copy()
    for step in (32, 16, 8, 4, 2, 1):
        if step < 8 * numbers.itemsize:
            large = rest >> numbers.dtype.type(step) > 0
            lengths += large.astype(np.uint8) * np.uint8(step)
            rest >>= large.astype(numbers.dtype) * numbers.dtype.type(step)
    return lengths + (rest > 0)


def _symbols(numbers: Bits, lengths: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if numbers.itemsize == 1:
        return numbers
    kind = numbers.dtype.type
    behind = _behind(lengths)
    heads = (numbers >> behind.astype(numbers.dtype) & kind(2**HEAD - 1)).astype(np.uint8)
    long = (1 << SMALL) + (lengths - np.uint8(SMALL + 1)) * np.uint8(2**HEAD) + heads
    return np.where(lengths > SMALL, long, numbers.astype(np.uint8)).astype(np.uint8)


def _behind(lengths: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bits of each number that its symbol does not say."""
    return np.maximum(lengths, SMALL).astype(np.uint8) - np.uint8(SMALL)


def _write_rest(writer: ByteWriter, numbers: Bits, lengths: NDArray[np.uint8]) -> None:
    """The low bits of numbers of one length after the other: whole bytes as planes, then what remains."""
    order = np.argsort(lengths, kind="stable")
    ordered, start = numbers[order], 0
    for length, count in enumerate(np.bincount(lengths)):
        own, start = ordered[start : start + count], start + int(count)
        whole, left = divmod(max(length - SMALL, 0), 8)
        if not count:
            continue
        for plane in planes_of(own, range(whole)):
            write_plane(writer, plane)
        if left:
            last = (own >> own.dtype.type(8 * whole)).astype(np.uint8)[:, None]
            write_plane(writer, np.packbits(np.unpackbits(last, axis=1)[:, 8 - left :]))


def _read_rest(reader: ByteReader, symbols: NDArray[np.uint8], width: int) -> Bits:
    """Numbers from their symbols and what `_write_rest` wrote."""
    over = symbols.astype(np.int16) - (1 << SMALL)
    lengths = np.where(over >= 0, (over >> HEAD) + SMALL + 1, 0).astype(np.uint8)
    if lengths.max() > 8 * width:
        raise CorruptFileError("A tensor has integers that are longer than its type: the file is damaged.")
    heads = np.where(over >= 0, (over & 2**HEAD - 1) + 2**HEAD, symbols).astype(f"=u{width}")
    numbers = heads << _behind(lengths).astype(heads.dtype)
    order = np.argsort(lengths, kind="stable")
    start = 0
    for length, count in enumerate(np.bincount(lengths)):
        places, start = order[start : start + count], start + int(count)
        whole, left = divmod(max(length - SMALL, 0), 8)
        if not count:
            continue
        for place in range(whole):
            plane = read_plane(reader, int(count)).astype(numbers.dtype)
            numbers[places] |= plane << numbers.dtype.type(8 * place)
        if left:
            bits = np.unpackbits(read_plane(reader, -(-int(count) * left // 8)))
            if bits[int(count) * left :].any():
                raise CorruptFileError("Bits follow the integers of a length: the file is damaged.")
            last = bits[: int(count) * left].reshape(-1, left) @ (1 << np.arange(left)[::-1])
            numbers[places] |= last.astype(numbers.dtype) << numbers.dtype.type(8 * whole)
    return numbers
