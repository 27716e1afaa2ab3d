"""Pictures in and out of files, for the commands that touch them."""

import contextlib
import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from barycode.errors import InvalidInputError

if TYPE_CHECKING:
    from PIL import Image

# Those that everybody has, without asking Pillow; and those that a package of their own reads.
COMMON = frozenset(
    {".png", ".jpg", ".jpeg", ".mpo", ".webp", ".ppm", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2"}
)
PLUGINS = {".heic": "pillow-heif", ".heif": "pillow-heif", ".hif": "pillow-heif", ".jxl": "pillow-jxl-plugin"}
SUFFIXES = COMMON | frozenset(PLUGINS)
NOT_PICTURES = frozenset({"BARY", "BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"})
# How formats that lose something are written: as little as they can; and what is then told.
LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "MPO": {"quality": 95, "subsampling": 0},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "HEIF": {"quality": 95, "chroma": 444},
    "GIF": {},
}
LOSSLESS: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True, "exact": True}}
LARGEST_SIDE = {"WEBP": 16383, "JPEG": 65535, "MPO": 65535, "GIF": 65535, "ICO": 256}
MODES = {".pgm": "L", ".pbm": "1", ".pfm": "F"}  # that the suffix promises, where Pillow would write others


def suffixes() -> frozenset[str]:
    """Endings of all pictures that Pillow reads here, with the plugins that are installed."""
    from PIL import Image

    _load_plugins()
    known = Image.registered_extensions()
    read = {suffix for suffix, name in known.items() if name in Image.OPEN and name not in NOT_PICTURES}
    return SUFFIXES | read


def _load_plugins() -> None:
    """Register the formats of packages that do not register themselves."""
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    for name in ("pillow_jxl", "pillow_avif"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


@contextmanager
def open_picture(path: Path, name: str = "") -> Iterator["Image.Image"]:
    """The picture in a file, as Pillow opens it; InvalidInputError, which calls it `name`, if it is none."""
    from PIL import Image

    from barycode.container.bounds import MAX_PIXELS

    _load_plugins()
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS  # our own bound on what is allocated
    try:
        image = Image.open(path)
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
    except Exception as error:  # damaged pictures raise nearly everything in Pillow
        package = PLUGINS.get(path.suffix.lower())
        hint = f"; {path.suffix} needs pip install {package}" if package else ""
        name = name or str(path)
        why = str(error).replace(str(path), name)
        raise InvalidInputError(f"{name} is not a picture that Pillow can read ({why}{hint}).") from error
    finally:
        Image.MAX_IMAGE_PIXELS = before
    with image:
        yield image


def written() -> dict[str, str]:
    """The suffixes of what Pillow and its plugins write, and their formats."""
    _load_plugins()
    return _written()


def _written() -> dict[str, str]:
    """Of the plugins, only those that are loaded."""
    from PIL import Image

    known = Image.registered_extensions()
    return {suffix: name for suffix, name in known.items() if name in Image.SAVE}


def check_writable(suffix: str, mode: str, size: tuple[int, int] = (1, 1)) -> None:
    """Raise InvalidInputError unless pictures of this mode and size can be written to files of this type: a
    small one is, before a large one is decoded.
    """
    from PIL import Image

    name = _format_of(suffix)
    if MODES.get(suffix.lower(), mode) != mode:
        raise InvalidInputError(f"{suffix} files hold no {mode} pictures: name the output .ppm or .png.")
    if max(size) > LARGEST_SIDE.get(name, max(size)):
        raise InvalidInputError(
            f"{name} files hold at most {LARGEST_SIDE[name]} pixels a side, and the picture has "
            f"{size[0]} x {size[1]}: name the output .png."
        )
    stream = io.BytesIO()
    try:
        Image.new(mode, (16, 16)).save(stream, name, **_options(name))
        with Image.open(stream) as back:
            opaque = "A" not in back.mode and "transparency" not in back.info
    except Exception as error:
        raise InvalidInputError(
            f"Pillow writes no {mode} pictures into {suffix} files that it could read: name it .png."
        ) from error
    if "A" in mode and opaque:
        raise InvalidInputError(f"{suffix} files keep no transparency: name the output .png or .webp.")


def picture_bytes(image: "Image.Image", suffix: str) -> tuple[bytes, list[str]]:
    """The picture as a file of the type that `suffix` names, and what has to be told about it."""
    from PIL import Image

    name = _format_of(suffix)
    kept = {key: value for key in ("icc_profile", "exif", "xmp", "dpi") if (value := image.info.get(key))}
    text = getattr(image, "text", {})
    stream = io.BytesIO()
    try:
        image.save(stream, name, **_options(name), **kept | _text_options(name, kept, text))
    except Exception as error:
        raise InvalidInputError(
            f"The picture cannot be written as {name} ({error}): name the output .png, or pass --strip."
        ) from error
    with Image.open(stream) as back:
        # Icons have a largest size, and Pillow makes others fit; some formats are turned when they are read.
        if sorted(back.size) != sorted(image.size):
            raise InvalidInputError(
                f"{name} files hold no pictures of {image.width} x {image.height}: name the output .png."
            )
        missing = [key for key in kept if key not in back.info and not (key == "exif" and back.getexif())]
        if text and not getattr(back, "text", None) and "comment" not in back.info:
            missing.append("text")
    notes = [f"{name} loses a little: .png keeps every pixel"] if name in LOSSY else []
    return stream.getvalue(), notes + ([f"{name} keeps no {', '.join(missing)}"] if missing else [])


def _text_options(name: str, kept: dict[str, Any], text: dict[str, str]) -> dict[str, Any]:
    """PNG takes texts and XMP as chunks, JPEG a comment, TIFF XMP as a tag."""
    if name == "PNG":
        from PIL import PngImagePlugin

        chunks = PngImagePlugin.PngInfo()
        for keyword, value in text.items():
            chunks.add_text(keyword, value)
        if "xmp" in kept:
            chunks.add_itxt("XML:com.adobe.xmp", kept["xmp"].decode(errors="replace"))
        return {"pnginfo": chunks}
    if name == "TIFF" and "xmp" in kept:
        from PIL import Image

        tags = Image.Exif()
        tags.load(kept.get("exif", b""))
        tags[700] = kept["xmp"]
        return {"exif": tags}
    return {"comment": text["comment"]} if name == "JPEG" and "comment" in text else {}


def _format_of(suffix: str) -> str:
    name = _written().get(suffix.lower()) or written().get(suffix.lower())
    if name is None:
        raise InvalidInputError(f"Pillow writes no {suffix!r} files; name the output .png, .webp or .tiff.")
    return name


def _options(name: str) -> dict[str, Any]:
    return LOSSY.get(name) or LOSSLESS.get(name) or {}
