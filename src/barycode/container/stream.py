"""Writing and reading a `.bary` file one section at a time: memory is bounded by the largest section."""

from collections.abc import Iterator
from typing import BinaryIO

from barycode.container.fields import MAX_VARINT_BYTES, decode_varint, encode_varint
from barycode.container.framing import (
    CHECKSUM_BYTES,
    END,
    HEADER_BYTES,
    KINDS,
    MAGIC,
    MAX_SECTION_BYTES,
    MAX_SECTIONS,
    TAG_BYTES,
    VERSION,
    Section,
    checksum,
    is_tag,
)
from barycode.errors import CorruptFileError, InvalidInputError, UnsupportedFileError

READ_CHUNK = 2**20  # a section that claims two gigabytes must first prove to have them


class ContainerWriter:
    """Writes sections to a binary stream; `close` ends the file, the stream itself stays open.

    As a context manager it closes only when the block succeeds: an interrupted file never looks complete.
    """

    def __init__(self, stream: BinaryIO, kind: str) -> None:
        if kind not in KINDS:
            raise InvalidInputError(f"There is no file kind {kind!r}: expected one of {', '.join(KINDS)}.")
        self._stream = stream
        self._header = MAGIC + bytes([VERSION]) + KINDS[kind]
        self._count = 0
        self._closed = False
        stream.write(self._header)

    def add(self, section: Section) -> None:
        """Append a section."""
        self._check(section)
        frame = section.tag.encode() + encode_varint(len(section.payload))
        self._stream.write(frame)
        self._stream.write(section.payload)
        self._stream.write(checksum(self._header, self._count, frame, section.payload))
        self._count += 1

    def close(self) -> None:
        """Write the end mark, once."""
        if not self._closed:
            self._stream.write(END)
        self._closed = True

    def __enter__(self) -> "ContainerWriter":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.close()

    def _check(self, section: Section) -> None:
        if self._closed:
            raise InvalidInputError(f"The section {section.tag} comes after close(): add it before.")
        if not is_tag(section.tag.encode()):
            raise InvalidInputError(
                f"The tag {section.tag!r} is not a capital letter and three capitals or digits."
            )
        if len(section.payload) > MAX_SECTION_BYTES or self._count >= MAX_SECTIONS:
            raise InvalidInputError(
                f"The section {section.tag} is too much for one file: at most {MAX_SECTIONS} sections "
                f"of at most {MAX_SECTION_BYTES} bytes fit."
            )


class ContainerReader:
    """Reads `kind` and `version` at once; iterate it, once, for the sections, checked one by one.

    Raises CorruptFileError for all but complete, undamaged files, UnsupportedFileError for newer ones.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._header = self._read(HEADER_BYTES, "the header")
        if not self._header.startswith(MAGIC):
            raise CorruptFileError("This is not a Barycode file: it does not start with the bytes BA 52 59.")
        self.version, code = self._header[len(MAGIC) :]
        kinds = {ord(letter): kind for kind, letter in KINDS.items()}
        if self.version > VERSION or code not in kinds:
            raise UnsupportedFileError(
                f"The file has version {self.version} and kind {code}, this Barycode reads version {VERSION} "
                f"and the kinds {', '.join(KINDS)}: update Barycode."
            )
        if self.version == 0:
            raise CorruptFileError("The file has format version 0, which never was: it is damaged.")
        if self.version < VERSION:
            raise UnsupportedFileError(
                f"The file has format version {self.version}, from before the first release: compress again "
                "what it was made from."
            )
        self.kind = kinds[code]

    def __iter__(self) -> Iterator[Section]:
        for number in range(MAX_SECTIONS + 1):
            first = self._read(1, "the end mark")
            if first == END:
                return self._expect_nothing()
            if number == MAX_SECTIONS:
                raise CorruptFileError(
                    f"The file has over {MAX_SECTIONS} sections: it is damaged or hostile."
                )
            yield self._section(number, first)

    def section_at(self, number: int, offset: int) -> Section:
        """The section of that number, which starts at that byte of a seekable stream, checked alike."""
        self._stream.seek(offset)
        return self._section(number, self._read(1, f"section {number}"))

    def _section(self, number: int, first: bytes) -> Section:
        tag = first + self._read(TAG_BYTES - 1, f"the tag of section {number}")
        if not is_tag(tag):
            raise CorruptFileError(f"Section {number} has no valid tag: the file is damaged.")
        name = f"section {number} ({tag.decode()})"
        length = self._length(name)
        payload = self._read(decode_varint(length), name)
        stored = self._read(CHECKSUM_BYTES, f"the checksum of {name}")
        if stored != checksum(self._header, number, tag + length, payload):
            raise CorruptFileError(f"The checksum of {name} is wrong: the file is damaged.")
        return Section(tag.decode(), payload)

    def _length(self, name: str) -> bytes:
        encoded = b""
        while not encoded or (encoded[-1] & 0x80 and len(encoded) < MAX_VARINT_BYTES):
            encoded += self._read(1, f"the length of {name}")
        if decode_varint(encoded) > MAX_SECTION_BYTES:
            raise CorruptFileError(
                f"The length of {name} is beyond the limit: the file is damaged or hostile."
            )
        return encoded

    def _read(self, size: int, what: str) -> bytes:
        parts: list[bytes] = []
        while size and (part := self._stream.read(min(size, READ_CHUNK))):
            parts.append(part)
            size -= len(part)
        if size:
            raise CorruptFileError(f"The file ends {size} bytes too early, in {what}: it is truncated.")
        return b"".join(parts)

    def _expect_nothing(self) -> None:
        if self._stream.read(1):
            raise CorruptFileError(
                "Bytes follow the end of the file: it is damaged, or two files were joined."
            )
