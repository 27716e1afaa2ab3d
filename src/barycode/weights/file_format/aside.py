"""Entries that are stored as they are beside a quantized tensor: outliers, infinities, what is no number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from barycode.container import ByteReader, ByteWriter
from barycode.errors import CorruptFileError
from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.number_formats import element_bytes, from_bits, to_bits


@dataclass(frozen=True, eq=False)
class Aside:
    """The places of entries, int64 (n,) ascending, and their bits, unsigned (n,)."""

    places: NDArray[np.int64]
    bits: NDArray[np.unsignedinteger]

    @classmethod
    def of(cls, tensor: Tensor, where: Tensor) -> "Aside":
        """The entries where a mask (tensor.numel(),) is set."""
        places = where.nonzero().flatten().numpy()
        return cls(places, to_bits(tensor)[places])

    def without(self, tensor: Tensor) -> Tensor:
        """The tensor with zeros at the places."""
        return self._replaced(tensor, np.zeros_like(self.bits))

    def put_into(self, tensor: Tensor) -> Tensor:
        """The tensor with the entries at their places."""
        return self._replaced(tensor, self.bits)

    def _replaced(self, tensor: Tensor, bits: NDArray) -> Tensor:
        whole = to_bits(tensor).copy()
        whole[self.places] = bits
        return from_bits(whole, tensor.dtype, tuple(tensor.shape))


def write_aside(writer: ByteWriter, aside: Aside) -> None:
    """How many less one, the gaps between their places, their bits."""
    writer.varint(len(aside.places) - 1)
    for gap in np.diff(aside.places, prepend=-1).tolist():
        writer.varint(gap - 1)
    writer.raw(aside.bits.astype(aside.bits.dtype.newbyteorder("<")).tobytes())


def read_aside(reader: ByteReader, entry: Entry) -> Aside:
    """What `write_aside` wrote; CorruptFileError for anything else."""
    count = reader.varint() + 1
    if count > min(entry.size, reader.remaining):
        raise CorruptFileError(f"The tensor {entry.name!r} has {count} entries aside: the file is damaged.")
    places = np.cumsum([reader.varint() + 1 for _ in range(count)], dtype=object) - 1
    if places[-1] >= entry.size:
        raise CorruptFileError(f"The tensor {entry.name!r} has entries aside beyond its end: damaged file.")
    width = element_bytes(entry.dtype)
    bits = np.frombuffer(reader.raw(count * width), f"<u{width}").astype(f"=u{width}")
    return Aside(places.astype(np.int64), bits)
