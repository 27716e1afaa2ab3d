"""Whole files in memory, built on the stream."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby

from barycode.container.framing import Section
from barycode.container.stream import ContainerReader, ContainerWriter
from barycode.errors import CorruptFileError, InvalidInputError, UnsupportedFileError

SHOWN = 8  # runs of sections in a message


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

    def require_layout(self, layout: str) -> None:
        """Raise unless the sections are those of a layout such as `"HEAD TILE+ EXIF?"`, in that order.

        A tag alone is there once; `?` stands for at most once, `*` for any number of times, `+` for at
        least once. UnsupportedFileError for a tag that the layout does not have, CorruptFileError for others.
        """
        for section in self.sections:
            if section.tag not in layout:
                raise UnsupportedFileError(
                    f"The file has a {section.tag} section that this Barycode does not know: update Barycode."
                )
        pattern = re.sub(r"(\w+)([?*+]?) ?", r"(?:\1 )\2", layout)
        if not re.fullmatch(pattern, "".join(f"{section.tag} " for section in self.sections)):
            raise CorruptFileError(
                f"The file has the sections {_runs(self.sections)}, expected {layout}: it is damaged."
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
    reader = ContainerReader(stream_of(data))
    return Container(reader.kind, reader.version, tuple(reader))


def stream_of(data: bytes) -> BytesIO:
    """The bytes as a stream; InvalidInputError for anything else, such as a file's name."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InvalidInputError(
            f"Expected the bytes of a .bary file, got {type(data).__name__}: read the file first."
        )
    return BytesIO(data)


def _runs(sections: Iterable[Section]) -> str:
    """The first tags in order, with how many of each follow each other."""
    runs = [f"{tag} ({len(list(run))})" for tag, run in groupby(section.tag for section in sections)]
    return ", ".join(runs[:SHOWN] + ["..."] * (len(runs) > SHOWN)) or "none"
