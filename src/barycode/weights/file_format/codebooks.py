"""Codebooks of a file: sorted centers or code vectors, each set stored once however many tensors use it."""

import numpy as np
import torch
from torch import Tensor

from barycode.container import ByteReader, ByteWriter, Section
from barycode.errors import CorruptFileError
from barycode.weights.file_format.methods import MAX_DIMENSION
from barycode.weights.file_format.number_formats import (
    DTYPES,
    FLOATS,
    dtype_code,
    element_bytes,
    from_bits,
    to_bits,
)
from barycode.weights.hardened import MAX_CENTERS


class Codebooks:
    """Codebooks in the order in which they were first used."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self._places: dict[bytes, int] = {}

    def place_of(self, centers: Tensor) -> int:
        """The number of a codebook of sorted centers (K,) or code vectors (K, d), new or known."""
        place = self._places.setdefault(codebook_section(centers).payload, len(self.tensors))
        if place == len(self.tensors):
            self.tensors.append(centers.detach().cpu())
        return place

    def origin(self, place: int) -> int:
        return origin(self.tensors[place])


def origin(centers: Tensor) -> int:
    """The rank from which codes count: of the center nearest to zero, the lower of two as near."""
    return int(centers.double().abs().argmin())


def codebook_section(codebook: Tensor) -> Section:
    """BOOK for centers (K,), VECT for code vectors (K, d)."""
    return (
        Section("BOOK", centers_to_bytes(codebook))
        if codebook.ndim == 1
        else Section("VECT", vectors_to_bytes(codebook))
    )


def vectors_to_bytes(vectors: Tensor) -> bytes:
    """K less one, d less one, the code vectors (K, d) as bfloat16."""
    writer = ByteWriter()
    for extent in vectors.shape:
        writer.varint(extent - 1)
    writer.raw(to_bits(vectors.bfloat16()).astype("<u2").tobytes())
    return writer.finish()


def vectors_from_bytes(data: bytes) -> Tensor:
    """Finite code vectors bfloat16 (K, d); CorruptFileError for anything else."""
    reader = ByteReader(data, "A codebook")
    count, dimension = reader.varint() + 1, reader.varint() + 1
    if count > MAX_CENTERS or dimension > MAX_DIMENSION:
        raise CorruptFileError(f"A codebook claims {count} vectors of {dimension} entries: damaged file.")
    bits = np.frombuffer(reader.raw(2 * count * dimension), "<u2").astype("=u2")
    reader.finish()
    vectors = from_bits(bits, torch.bfloat16, (count, dimension))
    if not bool(torch.isfinite(vectors).all()):
        raise CorruptFileError("A codebook's vectors are not finite numbers: the file is damaged.")
    return vectors


def centers_to_bytes(centers: Tensor) -> bytes:
    """The number of the dtype, K less one, the centers as they are."""
    writer = ByteWriter()
    writer.u8(dtype_code(centers.dtype, "a codebook"))
    writer.varint(len(centers) - 1)
    writer.raw(to_bits(centers).astype(f"<u{centers.element_size()}").tobytes())
    return writer.finish()


def centers_from_bytes(data: bytes) -> Tensor:
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
