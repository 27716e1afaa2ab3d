"""The index of a file: where its sections are, at its end, so that one tensor can be read alone."""

from collections.abc import Sequence

from barycode.container import ByteReader, ByteWriter, Section
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
