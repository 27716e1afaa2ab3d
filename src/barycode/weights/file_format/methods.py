"""The ways a tensor can be in a file, as values: what a decoder is told before the symbols."""

import struct
from dataclasses import dataclass, field

from barycode.container import ByteReader, ByteWriter
from barycode.errors import CorruptFileError
from barycode.weights.hardened import MAX_CENTERS

MAX_SHIFT = 24
MAX_DIMENSION = 64  # of code vectors
_STEP = struct.Struct("<f")


@dataclass(frozen=True)
class Exact:
    """Every bit."""

    words = "exact"


@dataclass(frozen=True)
class Table(Exact):
    """Every bit, since the tensor holds constants and not weights."""

    words = "exact: a table or constants"


@dataclass(frozen=True)
class Fields(Exact):
    """Every bit, of a float: exponents and leading bits in lanes; such tensors of a part are one group."""

    words = "exact"


@dataclass(frozen=True)
class Planes(Exact):
    """Every bit, in planes of bytes; `level` is how hard their writer tries."""

    level: int = field(default=1, compare=False)
    words = "exact, by bytes"


@dataclass(frozen=True)
class Integers(Exact):
    """Every bit, of an integer: length and leading bits in lanes."""

    words = "exact, integers"


@dataclass(frozen=True)
class Plain:
    """Codes on a uniform grid: code * step. The low `shift` bits of a code are stored as they are."""

    step: float
    shift: int = 0
    words = "uniform grid"


@dataclass(frozen=True)
class Trellis:
    """Codes along a trellis: point * step."""

    step: float
    shift: int = 0
    words = "trellis"


@dataclass(frozen=True)
class Leveled(Trellis):
    """Codes along a trellis: point * gain * step, with a gain for every column."""

    words = "trellis, columns leveled"


@dataclass(frozen=True)
class Centers:
    """Codes are ranks in a codebook (its number in the file) less the rank of the center nearest to zero."""

    codebook: int
    shift: int = 0
    words = "codebook"


@dataclass(frozen=True)
class TableCenters(Centers):
    """The same, of a tensor that holds constants and not weights: the centers are all of its values."""

    words = "exact: a table or constants, by codebook"


@dataclass(frozen=True)
class CodeVectors:
    """Indices of code vectors: runs of `dimension` entries are code vectors of a codebook times `step`."""

    step: float
    codebook: int
    size: int
    dimension: int
    words = "code vectors"


Method = Exact | Plain | Trellis | Centers | CodeVectors  # and the kinds of these
_NUMBERS: tuple[type, ...] = (
    *(Exact, Plain, Trellis, Centers, Leveled, CodeVectors, Table, TableCenters),
    *(Fields, Planes, Integers),
)
_EXACT: dict[type, Method] = {type(way): way for way in (Exact(), Table(), Fields(), Planes(), Integers())}
WITH_ASIDE = 255  # before a method: some entries follow it as they are


def write_method(writer: ByteWriter, method: Method) -> None:
    """Its number, then its parameters."""
    writer.u8(_NUMBERS.index(type(method)))
    if isinstance(method, Centers):
        writer.varint(method.codebook)
        writer.u8(method.shift)
    elif isinstance(method, CodeVectors):
        writer.raw(_STEP.pack(method.step))
        for number in (method.codebook, method.size, method.dimension):
            writer.varint(number)
    elif not isinstance(method, Exact):
        writer.raw(_STEP.pack(method.step))
        writer.u8(method.shift)


def read_method(reader: ByteReader, number: int) -> Method:
    """What `write_method` wrote, its number read already."""
    if number >= len(_NUMBERS):
        raise CorruptFileError(f"A tensor is coded by method {number}, which does not exist: damaged file.")
    kind = _NUMBERS[number]
    if kind in _EXACT:
        return _EXACT[kind]
    if kind is Centers or kind is TableCenters:
        place, shift = reader.varint(), _shift(reader)
        return TableCenters(place, shift) if kind is TableCenters else Centers(place, shift)
    (step,) = _STEP.unpack(reader.raw(_STEP.size))
    if not 0 < step < float("inf"):
        raise CorruptFileError(f"A tensor has the step {step}, which is not positive: the file is damaged.")
    if kind is CodeVectors:
        return _code_vectors(step, reader)
    return kind(step, _shift(reader))


def _code_vectors(step: float, reader: ByteReader) -> CodeVectors:
    codebook, size, dimension = (reader.varint() for _ in range(3))
    if not (1 < size <= MAX_CENTERS and 0 < dimension <= MAX_DIMENSION):
        raise CorruptFileError(f"A tensor has {size} code vectors of {dimension} entries: damaged file.")
    return CodeVectors(step, codebook, size, dimension)


def _shift(reader: ByteReader) -> int:
    shift = reader.u8()
    if shift > MAX_SHIFT:
        raise CorruptFileError(f"A tensor has codes with {shift} low bits: the file is damaged.")
    return shift
