"""What a picture file holds beyond one frame of 8 bits; asked before Pillow has cut it to that."""

import re
from collections.abc import Iterable

from PIL import Image

from barycode.errors import InvalidInputError

_BITS_PER_SAMPLE = 258  # TIFF
_RAW_BITS = re.compile(r";(\d+)")  # of Pillow's raw modes: RGB;16B, L;2
_JPEG_2000_SIZE = b"\xff\x51"
_HEAD = 4096  # bytes of a file in which the depth of its pixels is told


def frames_of(image: Image.Image) -> int:
    """How many frames, pages or layers the file has.

    One for MPO: the JPEG of a phone, followed by previews and gain maps of the same picture.
    """
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def bits_of(image: Image.Image) -> int:
    """Bits of a sample in the file, as far as Pillow or the file tells; 8 if nothing is known."""
    told = [*_tile_bits(image), *_tag_bits(image), *_header_bits(image)]
    if isinstance(depth := image.info.get("bit_depth"), int):  # pillow-heif
        told.append(depth)
    return max(told, default=8)


def check_representable(image: Image.Image) -> None:
    """Raise InvalidInputError for a file with more than can be kept: one frame of 8 bits."""
    frames, bits = frames_of(image), bits_of(image)
    if frames > 1:
        raise InvalidInputError(
            f"The picture has {frames} frames or pages and only one can be kept: pass image.copy() of the "
            "one that you want; flatten=True (--flatten) takes the first."
        )
    if bits > 8:
        does = "; flatten=True (--flatten) does" if bits <= 16 else ""
        raise InvalidInputError(
            f"The picture has {bits} bits a sample and only 8 can be kept: convert it first{does}."
        )


def _tile_bits(image: Image.Image) -> Iterable[int]:
    """From the raw mode of what is not loaded yet; for PPM from the largest value."""
    for tile in getattr(image, "tile", ()):
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        for argument in arguments:
            if isinstance(argument, str) and (found := _RAW_BITS.search(argument)):
                yield int(found[1])
            if image.format == "PPM" and isinstance(argument, int):
                yield argument.bit_length()


def _tag_bits(image: Image.Image) -> Iterable[int]:
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
    return bits if isinstance(bits, tuple) else (bits,)


def _header_bits(image: Image.Image) -> Iterable[int]:
    """AVIF and JPEG 2000 are decoded to 8 bits, and only their headers tell."""
    stream = getattr(image, "fp", None)
    if image.format not in ("AVIF", "JPEG2000") or stream is None or stream.closed:
        return ()
    place = stream.tell()
    stream.seek(0)
    head = stream.read(_HEAD)
    stream.seek(place)
    return _avif_bits(head) if image.format == "AVIF" else _jpeg_2000_bits(head)


def _avif_bits(head: bytes) -> Iterable[int]:
    """The pixi boxes: four bytes of version, a count, and that many depths."""
    for box in re.finditer(b"pixi....(.)", head, re.DOTALL):
        yield from head[box.end() : box.end() + box[1][0]]


def _jpeg_2000_bits(head: bytes) -> Iterable[int]:
    """The SIZ marker: 38 bytes, then the number of components and three bytes each, depth - 1 first."""
    start = head.find(_JPEG_2000_SIZE) + len(_JPEG_2000_SIZE) + 36
    count = int.from_bytes(head[start : start + 2], "big")
    return [(byte & 0x7F) + 1 for byte in head[start + 2 : start + 2 + 3 * count : 3]]
