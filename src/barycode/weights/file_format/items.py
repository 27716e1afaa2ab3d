"""A tensor in a part: what it is, how it is coded, and what a decoder is told of that before the symbols."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from barycode.container import ByteReader, ByteWriter
from barycode.errors import CorruptFileError
from barycode.weights.entropy_coding.float_fields import has_fields
from barycode.weights.file_format.aside import Aside, read_aside, write_aside
from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.methods import (
    WITH_ASIDE,
    Centers,
    CodeVectors,
    Exact,
    Fields,
    Integers,
    Method,
    Planes,
    read_method,
    write_method,
)
from barycode.weights.file_format.number_formats import FLOATS, INTEGERS, real_dtype


@dataclass(frozen=True)
class Item:
    """A tensor (or block of one), the way it is coded, and the entries that are stored as they are."""

    entry: Entry
    method: Method
    aside: Aside | None = None

    @property
    def words(self) -> str:
        """How it is coded, for people."""
        return self.method.words + (f", {len(self.aside.places)} aside" if self.aside is not None else "")

    @property
    def numbers(self) -> tuple[int, ...]:
        """The shape, with a complex number as two."""
        dtype = self.entry.dtype
        return (*self.entry.shape, 2) if real_dtype(dtype) != dtype else self.entry.shape


def write_item(writer: ByteWriter, item: Item) -> None:
    """Entries aside if there are any, then the method."""
    if item.aside is not None:
        writer.u8(WITH_ASIDE)
        write_aside(writer, item.aside)
    write_method(writer, item.method)


def read_item(reader: ByteReader, number: int, entry: Entry, codebooks: Sequence[Tensor]) -> Item:
    """What `write_item` wrote of a tensor; `number` is the byte that comes next, read already."""
    aside = read_aside(reader, entry) if number == WITH_ASIDE else None
    method = read_method(reader, reader.u8() if aside is not None else number)
    quantized = not isinstance(method, Exact)
    if quantized and (entry.dtype not in FLOATS or not entry.size):
        raise CorruptFileError(
            f"The tensor {entry.name!r}, {entry.dtype} of {entry.size} entries, is quantized: damaged file."
        )
    if isinstance(method, Fields | Planes | Integers) and not (entry.size and _splits(method, entry)):
        raise CorruptFileError(
            f"The tensor {entry.name!r}, {entry.dtype} of {entry.size} entries, has not the fields "
            "that its method codes: damaged file."
        )
    if aside is not None and not quantized:
        raise CorruptFileError(f"The exact tensor {entry.name!r} has entries aside: the file is damaged.")
    if isinstance(method, Centers | CodeVectors) and not _fits(method, entry, codebooks):
        raise CorruptFileError(f"The tensor {entry.name!r} has no codebook of its kind: damaged file.")
    return Item(entry, method, aside)


def _splits(method: Fields | Planes | Integers, entry: Entry) -> bool:
    if isinstance(method, Planes):
        return True
    if isinstance(method, Integers):
        return entry.dtype in INTEGERS
    return has_fields(FLOATS.get(real_dtype(entry.dtype)))


def _fits(method: Centers | CodeVectors, entry: Entry, codebooks: Sequence[Tensor]) -> bool:
    if method.codebook >= len(codebooks):
        return False
    codebook = codebooks[method.codebook]
    if isinstance(method, Centers):
        return codebook.ndim == 1 and codebook.dtype == entry.dtype
    return tuple(codebook.shape) == (method.size, method.dimension)
