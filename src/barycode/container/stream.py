"""The `.bary` container as a stream of sections: written and read one at a time, in bounded memory.

Layout (docs/format.md): the magic bytes BA 52 59, a version, a kind; then sections, each a 4-letter tag, a varint
length, the payload, and a CRC-32 of everything in the file up to there. The last section's tag has bit 7 of its first letter set.
"""

import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from barycode.container.fields import ByteWriter
from barycode.errors import CorruptFileError, InvalidInputError, UnsupportedFileError

MAGIC = b"\xbaRY"
VERSION = 1
KINDS = {"imag": ord("i"), "wght": ord("w"), "vect": ord("v")}
LAST = 0x80
MAX_SECTIONS = 2**20
MAX_PAYLOAD = 2**32
_CHUNK = 2**20


@dataclass(frozen=True)
class Section:
    """A tag of four ASCII letters, digits or spaces, and bytes."""

    tag: str
    payload: bytes

    def __post_init__(self) -> None:
        if not _is_tag(self.tag):
            raise InvalidInputError(f"The section tag {self.tag!r} is not valid: expected four upper-case ASCII letters or digits.")


@dataclass(frozen=True)
class Container:
    """A whole file: what it is, and its sections in order."""

    kind: str
    version: int
    sections: tuple[Section, ...]

    def one(self, tag: str) -> bytes:
        """The payload of the only section with this tag."""
        found = self.all(tag)
        if len(found) != 1:
            raise CorruptFileError(f"The file has {len(found)} {tag} sections, expected exactly one.")
        return found[0]

    def all(self, tag: str) -> list[bytes]:
        """The payloads of all sections with this tag, in order."""
        return [section.payload for section in self.sections if section.tag == tag]


class ContainerWriter:
    """Writes sections to a binary stream as they come; `close` marks the last one."""

    def __init__(self, stream: BinaryIO, kind: str) -> None:
        if kind not in KINDS:
            raise InvalidInputError(f"There is no kind of file {kind!r}: expected one of {', '.join(KINDS)}.")
        self._stream = stream
        self._sum = 0
        self._held: Section | None = None
        self._put(MAGIC + bytes([VERSION, KINDS[kind]]))

    def add(self, section: Section) -> None:
        if self._held is not None:
            self._write(self._held, 0)
        self._held = section

    def close(self) -> None:
        if self._held is None:
            raise InvalidInputError("A file needs at least one section.")
        self._write(self._held, LAST)
        self._held = None

    def _write(self, section: Section, mark: int) -> None:
        tag = section.tag.encode()
        head = ByteWriter()
        head.raw(bytes([tag[0] | mark]) + tag[1:])
        head.varint(len(section.payload))
        self._put(head.finish())
        self._put(section.payload)
        self._stream.write(self._sum.to_bytes(4, "little"))

    def _put(self, data: bytes) -> None:
        self._sum = zlib.crc32(data, self._sum)
        self._stream.write(data)


class ContainerReader:
    """Reads `kind` and `version` at once, then sections one at a time by iteration, each checked before it is handed out."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._sum = 0
        head = self._take(5, "its header")
        if head[:3] != MAGIC:
            raise CorruptFileError("This is not a Barycode file: it does not begin with the bytes BA 52 59.")
        self.version = head[3]
        if self.version != VERSION:
            raise UnsupportedFileError(f"The file has format version {self.version}, this is {VERSION}: install a newer Barycode.")
        kinds = {code: kind for kind, code in KINDS.items()}
        if head[4] not in kinds:
            raise UnsupportedFileError(f"The file is of an unknown kind {head[4]}: install a newer Barycode.")
        self.kind = kinds[head[4]]

    def __iter__(self) -> Iterator[Section]:
        for _ in range(MAX_SECTIONS):
            section, is_last = self._section()
            yield section
            if is_last:
                if self._stream.read(1):
                    raise CorruptFileError("There are bytes after the last section: the file is damaged.")
                return
        raise CorruptFileError(f"The file has more than {MAX_SECTIONS} sections: it is damaged.")

    def _section(self) -> tuple[Section, bool]:
        tag = bytearray(self._take(4, "a section's tag"))
        is_last = bool(tag[0] & LAST)
        tag[0] &= LAST - 1
        name = tag.decode("latin-1")
        if not _is_tag(name):
            raise CorruptFileError(f"A section has the tag {name!r}, which is not valid: the file is damaged.")
        payload = self._take(self._varint(), name)
        expected = self._sum
        if int.from_bytes(self._read(4, name), "little") != expected:
            raise CorruptFileError(f"The checksum of section {name} does not match: the file is damaged.")
        return Section(name, payload), is_last

    def _varint(self) -> int:
        value = 0
        for place in range(5):
            byte = self._take(1, "a section's length")[0]
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                break
        if byte >= 128 or value > MAX_PAYLOAD:
            raise CorruptFileError("A section's length is out of range: the file is damaged.")
        return value

    def _take(self, size: int, what: str) -> bytes:
        data = self._read(size, what)
        self._sum = zlib.crc32(data, self._sum)
        return data

    def _read(self, size: int, what: str) -> bytes:
        """Exactly `size` bytes; in chunks, so that a false length costs no memory that the file does not fill."""
        parts: list[bytes] = []
        while size and (part := self._stream.read(min(size, _CHUNK))):
            parts.append(part)
            size -= len(part)
        if size:
            raise CorruptFileError(f"The file ends {size} bytes too early, in {what}.")
        return b"".join(parts)


def pack(kind: str, sections: Iterable[Section]) -> bytes:
    """A whole file as bytes."""
    stream = io.BytesIO()
    writer = ContainerWriter(stream, kind)
    for section in sections:
        writer.add(section)
    writer.close()
    return stream.getvalue()


def unpack(data: bytes) -> Container:
    """Read a whole file; raises CorruptFileError or UnsupportedFileError."""
    reader = ContainerReader(io.BytesIO(data))
    return Container(reader.kind, reader.version, tuple(reader))


def _is_tag(tag: str) -> bool:
    return len(tag) == 4 and tag.isascii() and all(c.isupper() or c.isdigit() for c in tag)
