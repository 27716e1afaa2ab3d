"""Every bit by planes of bytes: the quick level, and what finds repeats."""

import numpy as np
from numpy.typing import NDArray

from barycode.container import ByteReader, ByteWriter
from barycode.weights.entropy_coding.byte_planes import FAST, planes_of, read_plane, write_plane
from barycode.weights.file_format.number_formats import FloatFormat

Bits = NDArray[np.unsignedinteger]


def pack_planes(bits: Bits, form: FloatFormat | None, level: int = FAST) -> bytes:
    """The planes of numbers (n,), n > 0; of floats with the sign turned to the low end, so that the exponent
    is the first byte where it has eight bits.
    """
    writer, kind = ByteWriter(), bits.dtype.type
    turned = bits if form is None else bits << kind(1) | bits >> kind(8 * bits.itemsize - 1)
    for plane in planes_of(turned, range(bits.itemsize)):
        write_plane(writer, plane, level)
    return writer.finish()


def unpack_planes(data: bytes, count: int, width: int, form: FloatFormat | None) -> Bits:
    """The numbers (count,) of `width` bytes that `pack_planes` wrote."""
    reader = ByteReader(data, "Planes of bytes")
    split = np.empty((count, width), np.uint8)
    for place in range(width):
        split[:, place] = read_plane(reader, count)
    reader.finish()
    bits = split.view(f"<u{width}").ravel().astype(f"=u{width}", copy=False)
    kind = bits.dtype.type
    return bits if form is None else bits >> kind(1) | bits << kind(8 * width - 1)
