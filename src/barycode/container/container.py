"""Whole files in memory, built on the stream."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from io import BytesIO

from barycode.container.framing import Section
from barycode.container.stream import ContainerReader, ContainerWriter
from barycode.errors import CorruptFileError, UnsupportedFileError


@dataclass(frozen=True)
class Container:
    """What a file holds: its kind ("imag", "wght", ...), format version, and sections in order."""

    kind: str
    version: int
    sections: tuple[Section, ...]

    def all(self, tag: str) -> list[bytes]:
        """The payloads of every section with this tag, in order."""
        return [section.payload for section in self.sections if section.tag == tag]

    def one(self, tag: str) -> bytes:
        """The payload of the only section with this tag; CorruptFileError unless there is exactly one."""
        found = self.all(tag)
        if len(found) != 1:
            raise CorruptFileError(f"The file has {len(found)} {tag} sections, expected exactly one.")
        return found[0]

    def optional(self, tag: str) -> bytes | None:
        """The payload of the only section with this tag, or None; CorruptFileError for more than one."""
        return self.one(tag) if self.all(tag) else None

    def require_known(self, tags: Collection[str]) -> None:
        """Raise UnsupportedFileError for other tags, save optional ones: their first letter is lower-case."""
        for section in self.sections:
            if section.tag not in tags and section.tag[0].isupper():
                raise UnsupportedFileError(
                    f"The file has a {section.tag} section that this Barycode does not know: update Barycode."
                )


def pack(kind: str, sections: Iterable[Section]) -> bytes:
    """The bytes of a file. Raises InvalidInputError for an unknown kind, a malformed tag, too much data."""
    stream = BytesIO()
    with ContainerWriter(stream, kind) as writer:
        for section in sections:
            writer.add(section)
    return stream.getvalue()


def unpack(data: bytes) -> Container:
    """The sections of a file, checked. Raises CorruptFileError or, for newer files, UnsupportedFileError."""
    reader = ContainerReader(BytesIO(data))
    return Container(reader.kind, reader.version, tuple(reader))
