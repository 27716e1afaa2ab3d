"""What describes a picture and travels with it: EXIF, colour profile, XMP, resolution and text.

Kept is what says something about the picture, never what structures the file that it came from: of a TIFF's
tags, the description and not the strips.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from PIL import Image

from barycode.container import ByteReader, ByteWriter, Container, Section
from barycode.errors import CorruptFileError, InvalidInputError

LAYOUT = "EXIF? ICCP? XMPD? DPIS? TEXT?"
ORIENTATION = 0x0112
EXIF_PREFIX = b"Exif\0\0"
COMMENT = "comment"  # JPEG's and GIF's one text without a name
_XMP, _ICC, _X_RESOLUTION = 700, 34675, 282
_DPI = struct.Struct("<2f")
# TIFF 6.0 and its supplements: sizes, strips, tiles, sample formats, colour maps, compression; pages and
# layers; and what has a section of its own here.
STRUCTURAL = frozenset({
    *range(254, 267), 273, 277, *range(278, 282), 284, *range(288, 294), 297, 301, 317, *range(320, 331),
    332, 333, 334, 336, 337, *range(338, 348), 351, *range(400, 406), *range(512, 522), 529, 530, 532,
    37724, _XMP, _ICC,
})  # fmt: skip
# Names under which Pillow keeps other things than text.
_RESERVED = frozenset({"exif", "icc_profile", "xmp", "dpi", "transparency", "gamma", "background", "text"})


class Explicit(TypedDict, total=False):
    """What `compress` may be told to store instead of what the picture carries: b"" removes, None keeps,
    `strip` leaves out what the picture does not need to look the same; `flatten` takes the first of several
    frames and 8 of more bits.
    """

    exif: bytes | Image.Exif | None
    icc_profile: bytes | None
    xmp: bytes | None
    dpi: tuple[float, float] | None
    strip: bool
    flatten: bool


@dataclass(frozen=True)
class Metadata:
    """`exif` begins with "Exif", two zero bytes and a TIFF header; `dpi` is horizontal and vertical, in dots
    per inch; `text` maps keywords to texts, as in a PNG.
    """

    exif: bytes = b""
    icc_profile: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    text: Mapping[str, str] = field(default_factory=dict)

    def attach(self, image: Image.Image) -> None:
        """Put everything where Pillow looks for it: `image.info`, and `image.text` as for a PNG."""
        kept = {"exif": self.exif, "icc_profile": self.icc_profile, "xmp": self.xmp, "dpi": self.dpi}
        image.info.update({name: text for name, text in self.text.items() if name not in _RESERVED})
        image.info.update({name: value for name, value in kept.items() if value})
        if self.text:
            image.__dict__["text"] = dict(self.text)

    def stripped(self) -> "Metadata":
        """Only what the picture needs to look the same: its orientation and its colour profile."""
        turned = _parsed(self.exif).get(ORIENTATION, 1) if self.exif else 1
        only = Image.Exif()
        only[ORIENTATION] = turned
        return Metadata(only.tobytes() if turned in range(2, 9) else b"", self.icc_profile)

    def sections(self) -> list[Section]:
        """In the order of LAYOUT; nothing for what is not there."""
        payloads = {
            "EXIF": self.exif,
            "ICCP": self.icc_profile,
            "XMPD": self.xmp,
            "DPIS": _DPI.pack(*self.dpi) if self.dpi else b"",
            "TEXT": _text_bytes(self.text),
        }
        return [Section(tag, data) for tag, data in payloads.items() if data]

    @classmethod
    def from_container(cls, container: Container) -> "Metadata":
        """What a file carries; CorruptFileError for what no writer writes."""
        exif, icc, xmp, dpi, text = (
            container.optional(tag) for tag in ("EXIF", "ICCP", "XMPD", "DPIS", "TEXT")
        )
        if b"" in (exif, icc, xmp, dpi, text):
            raise CorruptFileError("A section that describes the picture is empty: the file is damaged.")
        if exif is not None:
            _check_exif(exif)
        return cls(exif or b"", icc or b"", xmp or b"", _read_dpi(dpi), _read_text(text))


def metadata_of(image: Image.Image, explicit: Explicit) -> Metadata:
    """What a loaded picture carries, unless told otherwise. Raises InvalidInputError for EXIF that cannot be
    read.
    """
    unknown = set(explicit) - set(Explicit.__annotations__)
    if unknown:
        raise TypeError(f"compress() got an unexpected keyword argument {min(unknown)!r}")
    given: dict[str, Any] = {name: value for name, value in explicit.items() if value is not None}
    strip = given.pop("strip", False)
    given.pop("flatten", None)
    exif = b"" if "exif" in given else _carried_exif(image, lenient=strip)
    carried = Metadata(exif, _icc_profile(image), _xmp(image), _dpi(image), _text(image))
    if "exif" in given:
        given["exif"] = _given_exif(given["exif"])
    if "dpi" in given:
        given["dpi"] = _checked_dpi(given["dpi"])
    return replace(carried.stripped() if strip else carried, **given)


def _carried_exif(image: Image.Image, lenient: bool) -> bytes:
    try:
        return _described(_unless_edited(image))
    except Exception as error:  # whatever Pillow meets in broken tags
        if lenient:
            return b""
        raise InvalidInputError(
            f'The EXIF of the picture cannot be read ({error!r}): pass exif=b"" (--strip) to leave it out.'
        ) from error


def _unless_edited(image: Image.Image) -> bytes:
    """The EXIF as it came, since camera makers hide offsets in it; written anew where `getexif()` was edited,
    and where it is no EXIF but the tags of a TIFF.
    """
    raw = image.info.get("exif") or b""
    named = _png_texts(image).get("exif")
    if isinstance(raw, str) or (named is not None and raw == named.encode("latin-1", "replace")):
        return b""  # a PNG's text that is called so
    now = image.getexif()
    if raw:
        then = _parsed(raw)
        if ORIENTATION in now and ORIENTATION not in then and _xmp(image):
            then[ORIENTATION] = now[ORIENTATION]  # Pillow takes it from XMP: not an edit
        if then.tobytes() == now.tobytes():
            return _prefixed(raw)
    return now.tobytes()


def _given_exif(exif: bytes | Image.Exif) -> bytes:
    try:
        return _described(exif.tobytes() if isinstance(exif, Image.Exif) else _prefixed(exif))
    except Exception as error:
        raise InvalidInputError(f"The EXIF that was given cannot be read ({error!r}).") from error


def _described(exif: bytes) -> bytes:
    """The EXIF without structural tags; as it is where it has none."""
    tags = _parsed(exif)
    structural = STRUCTURAL & set(tags)
    for tag in structural:
        del tags[tag]
    if not tags:
        return b""
    return tags.tobytes() if structural else exif


def _parsed(exif: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(exif)
    return tags


def _prefixed(exif: bytes) -> bytes:
    bare = exif
    while bare.startswith(EXIF_PREFIX):
        bare = bare.removeprefix(EXIF_PREFIX)
    return EXIF_PREFIX + bare if bare else b""


def _check_exif(exif: bytes) -> None:
    try:
        sound = exif == _prefixed(exif) and not STRUCTURAL & set(_parsed(exif))
    except Exception as error:
        raise CorruptFileError(f"The EXIF cannot be read ({error!r}): the file is damaged.") from error
    if not sound:
        raise CorruptFileError("The EXIF describes another file's structure: the file is damaged.")


def _icc_profile(image: Image.Image) -> bytes:
    profile = image.info.get("icc_profile")
    return bytes(profile) if isinstance(profile, bytes | bytearray) else b""


def _xmp(image: Image.Image) -> bytes:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return xmp.encode() if isinstance(xmp, str) else bytes(xmp)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """The resolution that the file states: some of Pillow's readers make one up."""
    tags = getattr(image, "tag_v2", None)
    if tags is None and image.info.get("jfif_unit") == 0:
        tags = image.getexif()
    if tags is not None and _X_RESOLUTION not in tags:
        return None
    try:
        return _checked_dpi(image.info.get("dpi"))
    except InvalidInputError:
        return None


def _checked_dpi(dpi: Any) -> tuple[float, float]:
    try:
        if isinstance(dpi, str):
            raise TypeError
        horizontal, vertical = _DPI.unpack(_DPI.pack(*map(float, dpi)))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError, struct.error):
        horizontal = vertical = math.nan
    if not (0 < horizontal < math.inf and 0 < vertical < math.inf):
        raise InvalidInputError(f"The resolution is {dpi!r}: expected dots per inch across and down.")
    return horizontal, vertical


def _read_dpi(data: bytes | None) -> tuple[float, float] | None:
    if data is None:
        return None
    try:
        return _checked_dpi(_DPI.unpack(data))
    except (InvalidInputError, struct.error) as error:
        raise CorruptFileError("The resolution is not two positive numbers: the file is damaged.") from error


def _text(image: Image.Image) -> dict[str, str]:
    """PNG's texts, save those that hold what has a section of its own; the comment of a JPEG or GIF."""
    text = _png_texts(image)
    for elsewhere in ("XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type xmp"):
        text.pop(elsewhere, None)
    comment = image.info.get(COMMENT)
    if comment and COMMENT not in text:
        text[COMMENT] = comment.decode(errors="replace") if isinstance(comment, bytes) else str(comment)
    # Lone surrogates are no Unicode.
    return {str(k): str(v) for k, v in text.items() if _is_unicode(f"{k}{v}")}


def _png_texts(image: Image.Image) -> dict[str, str]:
    found = getattr(image, "text", None)
    return dict(found) if isinstance(found, Mapping) else {}


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _text_bytes(text: Mapping[str, str]) -> bytes:
    writer = ByteWriter()
    for keyword in sorted(text):
        writer.text(keyword)
        writer.text(text[keyword])
    return writer.finish()


def _read_text(data: bytes | None) -> dict[str, str]:
    text: dict[str, str] = {}
    reader, last = ByteReader(data or b"", "The text"), None
    while reader.remaining:
        keyword = reader.text()
        if last is not None and keyword <= last:
            raise CorruptFileError("The keywords of the texts are not in order: the file is damaged.")
        text[keyword] = reader.text()
        last = keyword
    return text
