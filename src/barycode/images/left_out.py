"""What a picture's file has and a `.bary` file does not keep, in words: to be told, since it would be lost in
silence.
"""

import mmap
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from barycode.images.file_parts import END, Part, item_types, parts_of
from barycode.images.source import bits_of, frames_of

CREDENTIALS, GAIN_MAP, PROFILE = "content credentials", "HDR gain map", "colour profile"
# None: kept, or how the file is made, or a small copy of the same picture.
_JPEG = {
    (0, b"JFIF"): None,
    (0, b"JFXX"): None,
    (1, b"Exif"): None,
    (1, b"http://ns.adobe.com/xap/1.0/"): None,
    (1, b"http://ns.adobe.com/xmp/extension/"): "extended XMP",
    (2, b"ICC_PROFILE"): None,
    (2, b"MPF"): None,  # an index of what comes after the end
    (2, b"urn:iso:std:iso:ts:21496:-1"): GAIN_MAP,
    (11, b"JP"): CREDENTIALS,
    (12, b"Ducky"): None,
    (13, b"Photoshop 3.0"): "IPTC and Photoshop's data",
    (14, b"Adobe"): None,
}
_PNG = {
    **dict.fromkeys(("IHDR", "PLTE", "tRNS", "IDAT", "IEND", "acTL", "fcTL", "fdAT", "sPLT", "hIST", "iDOT")),
    **dict.fromkeys(("iCCP", "eXIf", "tEXt", "zTXt", "iTXt", "sRGB", "sBIT")),
    **dict.fromkeys(("gAMA", "cHRM", "pHYs", END)),  # which are looked at
    **{"cICP": "colour space (cICP)", "caBX": CREDENTIALS, "tIME": "time of change (tIME)"},
}
_WEBP = dict.fromkeys(("VP8 ", "VP8L", "VP8X", "ALPH", "ICCP", "EXIF", "XMP ", "ANIM", "ANMF", END))
_GIF = {
    b"NETSCAPE2.0": None,  # loops
    b"ANIMEXTS1.0": None,
    b"XMP DataXMP": "XMP",
    b"ICCRGBG1012": PROFILE,
}
_BOXES = dict.fromkeys(
    ("ftyp", "meta", "mdat", "free", "skip", "moov", "idat", "pdin", "jP  ", "jp2h", "jp2c")
) | {"mpvd": "a video", "xml ": "XML", "jumb": CREDENTIALS}
_UUIDS = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "XMP",
    b"JpgTiffExif->JP2": "EXIF",
    bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03"): "GeoJP2",
    bytes.fromhex("d8fec3d61b0e483c92975828877ec481"): CREDENTIALS,
}
_ITEMS = {"tmap": GAIN_MAP, "jumb": CREDENTIALS, "uri ": "an item of an unknown kind"}
_AUXILIARY = re.compile(rb"auxC\0{4}([^\0]+)\0")
_COLOURS = re.compile(rb"colrnclx\0(.)\0(.)", re.DOTALL)
_USUAL_COLOURS = ({1, 2}, {1, 2, 6, 13})  # primaries and transfers of ISO/IEC 23091-2 that look as sRGB does
_SRGB_GAMMA = 0.45455
_SRGB_POINTS = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_SUB_IFDS, _SAMPLES = 330, 277
_PADDING = b"\0\r\n "


def left_out(image: Image.Image) -> list[str]:
    """What the file of an opened picture has that `compress` does not keep, each in a few words.

    Frames, bits of a sample, and what is neither pixels nor one of EXIF, ICC profile, XMP, resolution and
    text: a phone's video or gain map behind the picture, depth, IPTC, other sizes of an icon. Ask before the
    picture is loaded; nothing is known of one that did not come from a file.
    """
    frames, bits = frames_of(image), bits_of(image)
    with _content(image) as data:
        kind, parts = parts_of(data)
        found = [*_by_pillow(image), *(_FORMATS[kind](parts, data, image) if kind else ())]
    return [
        *([f"the first of {frames} frames"] if frames > 1 else []),
        *([f"{bits} bits cut to 8"] if bits > 8 else []),
        *([f"left out: {', '.join(dict.fromkeys(found))}"] if found else []),
    ]


@contextmanager
def _content(image: Image.Image) -> Iterator[memoryview]:
    """The bytes of its file, mapped where it has a name; none where it is not known."""
    name, stream = os.fsdecode(getattr(image, "filename", "")), getattr(image, "fp", None)
    if name and Path(name).is_file():
        with (
            Path(name).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as data,
        ):
            yield data
    elif stream is not None and hasattr(stream, "getbuffer") and not stream.closed:
        with stream.getbuffer() as data:
            yield data
    else:
        yield memoryview(b"")


def _by_pillow(image: Image.Image) -> Iterator[str]:
    """Of icons and TIFF, whose structure Pillow tells."""
    sizes = len(list(image.info.get("sizes", ())))
    if sizes > 1:
        yield f"other sizes ({sizes - 1})"
    tags = getattr(image, "tag_v2", {})
    if _SUB_IFDS in tags:
        yield "pictures of sub-IFDs"
    extra = int(tags.get(_SAMPLES, 0)) - len(image.getbands())
    if extra > 0 and image.mode != "P":
        yield f"{extra} extra channels"


def _of_jpeg(parts: Sequence[Part], data: memoryview, _: Image.Image) -> Iterator[str]:
    for part in parts:
        if part.name.startswith("APP"):
            number, name = int(part.name[3:]), part.content(data, 40).split(b"\0")[0]
            words = _JPEG.get((number, name), f"{part.name} {name.decode('latin-1')}".strip())
            if words is not None:
                yield words
    if sum(part.name == "COM" for part in parts) > 1:
        yield "comments before the last"
    yield from _behind(parts, data)


def _of_png(parts: Sequence[Part], data: memoryview, image: Image.Image) -> Iterator[str]:
    names = {part.name for part in parts}
    for part in parts:
        yield from _told(_PNG, part.name)
    if not names & {"iCCP", "sRGB", "cICP"} and not _is_srgb(image):
        yield "colour space (gAMA, cHRM)"
    across, down = image.info.get("aspect", (1, 1))
    if across != down:
        yield f"pixels of {across} to {down}"
    yield from _behind(parts, data)


def _is_srgb(image: Image.Image) -> bool:
    gamma = image.info.get("gamma", _SRGB_GAMMA)
    points = image.info.get("chromaticity", _SRGB_POINTS)
    return abs(gamma - _SRGB_GAMMA) < 0.01 and all(
        abs(one - other) < 0.005 for one, other in zip(points, _SRGB_POINTS, strict=True)
    )


def _of_webp(parts: Sequence[Part], data: memoryview, _: Image.Image) -> Iterator[str]:
    for part in parts:
        yield from _told(_WEBP, part.name)
    yield from _behind(parts, data)


def _of_gif(parts: Sequence[Part], data: memoryview, _: Image.Image) -> Iterator[str]:
    for part in parts:
        name = part.content(data)
        if part.name == "extension FF":
            yield from _told(_GIF, name)
        if part.name == "extension 01":
            yield "text that is drawn over it"
    yield from _behind(parts, data)


def _of_boxes(parts: Sequence[Part], data: memoryview, image: Image.Image) -> Iterator[str]:
    for part in parts:
        if part.name == "uuid":
            yield _UUIDS.get(part.content(data, 16), "a uuid box")
        else:
            yield from _told(_BOXES, part.name)
        if part.name == "meta":
            yield from _of_meta(part.content(data), image)
        if part.name == "jp2h" and b"colr\2" in part.content(data) and not image.info.get("icc_profile"):
            yield PROFILE


def _of_meta(meta: bytes, image: Image.Image) -> Iterator[str]:
    """Of the one box of HEIC and AVIF that says what there is."""
    yield from (_ITEMS[kind] for kind in item_types(meta) if kind in _ITEMS)
    for urn in _AUXILIARY.findall(meta):
        name = urn.decode("latin-1")
        if "alpha" not in name and not name.endswith(":auxid:1"):
            depth = "depth" in name or name.endswith(":auxid:2")
            yield "depth" if depth else GAIN_MAP if "gainmap" in name else name.rpartition(":")[2]
    found = _COLOURS.search(meta)
    if found and not image.info.get("icc_profile"):
        codes = found[1][0], found[2][0]
        if any(code not in usual for code, usual in zip(codes, _USUAL_COLOURS, strict=True)):
            yield f"colour space (primaries {codes[0]}, transfer {codes[1]})"


def _told(known: Mapping[Any, str | None], name: str | bytes) -> Iterator[str]:
    """Words for a part, its name where there are none; nothing for one that is known not to matter."""
    words = known.get(name, name.decode("latin-1") if isinstance(name, bytes) else name)
    yield from [words.strip()] if words else []


def _behind(parts: Sequence[Part], data: memoryview) -> Iterator[str]:
    """What comes after the end of the picture, unless it is padding."""
    for part in parts:
        tail = part.content(data).strip(_PADDING) if part.name == END else b""
        if b"\xff\xd8\xff" in tail[:4]:
            yield "pictures behind it (previews, gain map)"
        if b"ftyp" in tail:
            yield "a video"
        elif tail and b"\xff\xd8\xff" not in tail[:4]:
            yield f"{len(tail):,} bytes behind it"


_FORMATS: dict[str, Callable[[Sequence[Part], memoryview, Image.Image], Iterator[str]]] = {
    "JPEG": _of_jpeg,
    "PNG": _of_png,
    "WEBP": _of_webp,
    "GIF": _of_gif,
    "BOXES": _of_boxes,
}
