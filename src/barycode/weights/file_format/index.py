"""The index of a file: where its sections are, at its end, so that one tensor can be read alone."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from barycode.container import ByteReader, ByteWriter, ContainerReader, Section
from barycode.container.fields import MAX_VARINT_BYTES, encode_varint
from barycode.container.framing import CHECKSUM_BYTES, END, HEADER_BYTES, TAG_BYTES
from barycode.errors import CorruptFileError

TAG = "INDX"
TAGS = ("HEAD", "BOOK", "VECT", "PART")
TAIL_BYTES = 4  # how long the index is, in its own last bytes


def index_section(sections: Sequence[tuple[str, int]]) -> Section:
    """Tag and length of every section before the index, in order, and in the last 4 bytes its own length."""
    writer = ByteWriter()
    writer.varint(len(sections))
    for tag, length in sections:
        writer.u8(TAGS.index(tag))
        writer.varint(length)
    writer.u32(writer.size + TAIL_BYTES)
    return Section(TAG, writer.finish())


def read_index(payload: bytes) -> list[tuple[str, int]]:
    """What `index_section` wrote; CorruptFileError for anything else."""
    reader = ByteReader(payload, "The index")
    count = reader.varint()
    if count > reader.remaining:
        raise CorruptFileError(f"The index claims {count} sections: the file is damaged or hostile.")
    sections = []
    for _ in range(count):
        number = reader.u8()
        if number >= len(TAGS):
            raise CorruptFileError(f"The index names a section of kind {number}: the file is damaged.")
        sections.append((TAGS[number], reader.varint()))
    if reader.u32() != len(payload):
        raise CorruptFileError("The index has not the length that it claims: the file is damaged.")
    reader.finish()
    return sections


def sections_of(stream: BinaryIO) -> list[tuple[str, int]]:
    """Tag and first byte of every section of a seekable file, the index left out.

    By the index where the file has one; else the file is read to its end.
    """
    start = _index_offset(stream)
    if start is None:
        stream.seek(0)
        found = [(section.tag, len(section.payload)) for section in ContainerReader(stream)]
        return list(zip((tag for tag, _ in found), _offsets(found), strict=False))
    stream.seek(0)
    reader = ContainerReader(stream)
    found = read_index(reader.section_at(_number(stream, start), start).payload)
    places = list(_offsets(found))
    if places[-1] != start:
        raise CorruptFileError("The index is not that of the file: it is damaged.")
    return list(zip((tag for tag, _ in found), places, strict=False))


def _index_offset(stream: BinaryIO) -> int | None:
    """Where the index starts, or None if the file does not end like one that has it."""
    behind = CHECKSUM_BYTES + len(END)
    size = stream.seek(0, 2)
    if size < HEADER_BYTES + TAG_BYTES + TAIL_BYTES + behind:
        return None
    stream.seek(size - behind - TAIL_BYTES)
    length = int.from_bytes(stream.read(TAIL_BYTES), "little")
    start = size - behind - length - len(encode_varint(length)) - TAG_BYTES
    if start < HEADER_BYTES:
        return None
    stream.seek(start)
    return start if stream.read(TAG_BYTES) == TAG.encode() else None


def _number(stream: BinaryIO, start: int) -> int:
    """Which section the index is: as it says itself, and as its checksum has to agree."""
    stream.seek(start + TAG_BYTES)
    head = ByteReader(stream.read(2 * MAX_VARINT_BYTES), "The index")
    head.varint()
    return head.varint()


def _offsets(sections: Sequence[tuple[str, int]]) -> Iterator[int]:
    """Where every section starts, and where one behind them would."""
    offset = HEADER_BYTES
    for _, length in sections:
        yield offset
        offset += TAG_BYTES + len(encode_varint(length)) + length + CHECKSUM_BYTES
    yield offset
