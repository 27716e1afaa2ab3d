"""The named parts of a picture's file, whatever is in them: segments of a JPEG, chunks of a PNG or WebP,
extensions of a GIF, boxes of HEIC, AVIF and JPEG 2000.

Nothing is decoded. A walk ends where the file is damaged: Pillow says what is wrong with it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

END = "end"  # what comes after the end of the picture
_MARKER = re.compile(
    rb"\xff+([^\x00\x01\xd0-\xd8\xff])", re.DOTALL
)  # none that stands alone, no stuffed byte
_END_OF_IMAGE = 0xD9
_PNG = b"\x89PNG\r\n\x1a\n"
_BOXES = (b"\0\0\0\x0cjP  ", b"ftyp")
_ITEM = re.compile(rb"infe([\2\3])...", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """`name` as the format calls it; `size` bytes of content from `start`."""

    name: str
    start: int
    size: int

    def content(self, data: memoryview, most: int | None = None) -> bytes:
        """Its bytes, or the first `most` of them."""
        stop = self.start + (self.size if most is None else min(self.size, most))
        return bytes(data[self.start : stop])


def parts_of(data: memoryview) -> tuple[str, list[Part]]:
    """The kind of file ("JPEG", "PNG", "WEBP", "GIF", "BOXES", "" for others) and its parts in order."""
    start = bytes(data[:16])
    if start.startswith(b"\xff\xd8"):
        return "JPEG", list(_jpeg(data))
    if start.startswith(_PNG):
        return "PNG", list(_png(data))
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP", list(_riff(data))
    if start.startswith(b"GIF8"):
        return "GIF", list(_gif(data))
    if start.startswith(_BOXES[0]) or start[4:8] == _BOXES[1]:
        return "BOXES", list(boxes_of(data, 0, len(data)))
    return "", []


def boxes_of(data: memoryview, place: int, stop: int) -> Iterator[Part]:
    """The boxes of ISO/IEC 14496-12 and 15444-1 between two places."""
    while place + 8 <= stop:
        size, name, head = (
            int.from_bytes(data[place : place + 4], "big"),
            bytes(data[place + 4 : place + 8]),
            8,
        )
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        size = size or stop - place
        if size < head:
            return
        yield Part(name.decode("latin-1"), place + head, min(size, stop - place) - head)
        place += size


def item_types(meta: bytes) -> list[str]:
    """The types of the items that a `meta` box lists: hvc1, av01, grid, Exif, mime, tmap ..."""
    found = []
    for entry in _ITEM.finditer(meta):
        place = entry.end() + (2 if entry[1] == b"\2" else 4) + 2  # number of the item, protection
        found.append(meta[place : place + 4].decode("latin-1"))
    return found


def _jpeg(data: memoryview) -> Iterator[Part]:
    place = 2
    while found := _MARKER.search(data, place):
        code, place = found[1][0], found.end()
        if code == _END_OF_IMAGE:
            yield Part(END, place, len(data) - place)
            return
        length = int.from_bytes(data[place : place + 2], "big")
        name = f"APP{code - 0xE0}" if 0xE0 <= code <= 0xEF else "COM" if code == 0xFE else f"{code:02X}"
        yield Part(name, place + 2, max(length - 2, 0))
        place += length


def _png(data: memoryview) -> Iterator[Part]:
    place, name = len(_PNG), b""
    while place + 12 <= len(data) and name != b"IEND":
        size, name = int.from_bytes(data[place : place + 4], "big"), bytes(data[place + 4 : place + 8])
        yield Part(name.decode("latin-1"), place + 8, size)
        place += size + 12
    yield Part(END, place, max(len(data) - place, 0))


def _riff(data: memoryview) -> Iterator[Part]:
    place = 12
    stop = int.from_bytes(data[4:8], "little") + 8
    while place + 8 <= min(stop, len(data)):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        yield Part(bytes(data[place : place + 4]).decode("latin-1"), place + 8, size)
        place += 8 + size + size % 2
    yield Part(END, stop, max(len(data) - stop, 0))


def _gif(data: memoryview) -> Iterator[Part]:
    place = 13 + _table(data[10:11])
    while place + 1 < len(data):
        kind = data[place]
        if kind == 0x21:  # an extension
            yield Part(
                f"extension {data[place + 1]:02X}", place + 3, data[place + 2] if place + 2 < len(data) else 0
            )
            place = _after_blocks(data, place + 2)
        elif kind == 0x2C:  # a frame
            place = _after_blocks(data, place + 11 + _table(data[place + 9 : place + 10]))
        else:
            break
    yield Part(END, place + 1, max(len(data) - place - 1, 0))


def _table(packed: memoryview) -> int:
    """Bytes of a colour table, by the byte of flags that tells of it."""
    return 3 << (packed[0] & 7) + 1 if len(packed) and packed[0] & 0x80 else 0


def _after_blocks(data: memoryview, place: int) -> int:
    while place < len(data) and data[place]:
        place += data[place] + 1
    return place + 1
