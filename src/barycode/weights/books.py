"""Codebooks of a file: sorted centers, each set stored once however many tensors use it."""

import numpy as np
import torch
from torch import Tensor

from barycode.container import ByteReader, ByteWriter
from barycode.errors import CorruptFileError
from barycode.weights.formats import DTYPES, FLOATS, dtype_code, element_bytes, from_bits, to_bits
from barycode.weights.hardened import MAX_CENTERS


class Books:
    """Codebooks in the order in which they were first used."""

    def __init__(self) -> None:
        self.books: list[Tensor] = []
        self._places: dict[bytes, int] = {}

    def place_of(self, centers: Tensor) -> int:
        """The number of a codebook of sorted centers (K,), new or known."""
        place = self._places.setdefault(book_to_bytes(centers), len(self.books))
        if place == len(self.books):
            self.books.append(centers.detach().cpu())
        return place

    def origin(self, place: int) -> int:
        return origin(self.books[place])


def origin(centers: Tensor) -> int:
    """The rank from which codes count: of the center nearest to zero, the lower of two as near."""
    return int(centers.double().abs().argmin())


def book_to_bytes(centers: Tensor) -> bytes:
    """The number of the dtype, K less one, the centers as they are."""
    writer = ByteWriter()
    writer.u8(dtype_code(centers.dtype, "a codebook"))
    writer.varint(len(centers) - 1)
    writer.raw(to_bits(centers).astype(f"<u{centers.element_size()}").tobytes())
    return writer.finish()


def book_from_bytes(data: bytes) -> Tensor:
    """Sorted, finite centers; CorruptFileError for anything else."""
    reader = ByteReader(data, "A codebook")
    code, count = reader.u8(), reader.varint() + 1
    dtype = DTYPES[code] if code < len(DTYPES) else None
    if dtype not in FLOATS or dtype is None or count > MAX_CENTERS:
        raise CorruptFileError(f"A codebook claims {count} centers of number format {code}: damaged file.")
    width = element_bytes(dtype)
    bits = np.frombuffer(reader.raw(count * width), f"<u{width}").astype(f"=u{width}")
    reader.finish()
    centers = from_bits(bits, dtype, (count,))
    values = centers.double()
    if not bool(torch.isfinite(values).all()) or bool((values[1:] < values[:-1]).any()):
        raise CorruptFileError("A codebook's centers are not sorted finite numbers: the file is damaged.")
    return centers
