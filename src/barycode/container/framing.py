"""The constants of the file format and the checksum, shared by writer and reader; see docs/format.md."""

import re
import zlib
from dataclasses import dataclass

EXTENSION = ".bary"
MAGIC = b"\xbaRY"  # the first byte is not ASCII: no text file starts like this
VERSION = 2  # 1 was never released, and has other coded symbols
KINDS = {"imag": b"i", "wght": b"w", "vect": b"v"}  # pictures, networks, vectors
HEADER_BYTES = len(MAGIC) + 2
END = b"\x00"  # no tag starts with it
TAG_BYTES = 4
CHECKSUM_BYTES = 4
MAX_SECTION_BYTES = 2**31 - 1
MAX_SECTIONS = 2**20

_TAG = re.compile(rb"[A-Z][A-Z0-9]{3}")


@dataclass(frozen=True)
class Section:
    """A payload and the four letters that say what it is."""

    tag: str
    payload: bytes


def is_tag(tag: bytes) -> bool:
    """A capital letter, then three capitals or digits."""
    return _TAG.fullmatch(tag) is not None


def checksum(header: bytes, number: int, frame: bytes, payload: bytes) -> bytes:
    """CRC-32 of the file's header, the section's number, its tag and length (`frame`), and its payload.

    Header and number are in it so that no section can be moved, dropped or borrowed from another kind.
    """
    start = zlib.crc32(header + number.to_bytes(4, "little") + frame)
    return zlib.crc32(payload, start).to_bytes(CHECKSUM_BYTES, "little")
