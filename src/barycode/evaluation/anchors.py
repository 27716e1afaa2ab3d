"""The codecs that everyone has, at pinned settings: JPEG, JPEG 2000, WebP, HEIC, AVIF and JPEG XL.

Each grid of settings spans about 0.08 to 2.2 bits per pixel on the Kodak pictures. All run on one thread.
"""

import io
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.evaluation.rate_distortion import Codec

BITS_PER_RGB_PIXEL = 24
JPEG_QUALITIES = range(1, 101)
AVIF_SPEED, AVIF_SLOW = 6, 3
JXL_EFFORT = 7


def _save(image: Image.Image, file_format: str, options: dict[str, Any]) -> bytes:
    # A copy of the pixels alone: no profile, EXIF or comment weighs on anyone's file.
    bare = Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())
    stream = io.BytesIO()
    bare.save(stream, file_format, **options)
    return stream.getvalue()


def _open(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def _jpeg(image: Image.Image, quality: float) -> bytes:
    return _save(image, "JPEG", {"quality": int(quality), "optimize": True, "subsampling": "4:2:0"})


def _jpeg2000(image: Image.Image, bpp: float) -> bytes:
    ratio = BITS_PER_RGB_PIXEL / bpp
    options = {"irreversible": True, "mct": 1, "quality_mode": "rates", "quality_layers": [ratio]}
    return _save(image, "JPEG2000", options)


def _webp(image: Image.Image, quality: float) -> bytes:
    return _save(image, "WEBP", {"quality": int(quality), "method": 6})


def _avif(chroma: str, speed: int, tune: str | None) -> Callable[[Image.Image, float], bytes]:
    options: dict[str, Any] = {"subsampling": chroma, "speed": speed, "max_threads": 1}
    if tune:
        options["advanced"] = {"tune": tune}
    return lambda image, quality: _save(image, "AVIF", {**options, "quality": int(quality)})


def _heic(chroma: int) -> Callable[[Image.Image, float], bytes]:
    def encode(image: Image.Image, quality: float) -> bytes:
        pillow_heif.register_heif_opener()
        return _save(image, "HEIF", {"quality": int(quality), "chroma": chroma})

    return encode


def _open_heic(data: bytes) -> Image.Image:
    pillow_heif.register_heif_opener()
    return _open(data)


def _jxl(image: Image.Image, distance: float) -> bytes:
    pixels = np.asarray(image.convert("RGB"))
    return bytes(imagecodecs.jpegxl_encode(pixels, distance=float(distance), effort=JXL_EFFORT, numthreads=1))


def _open_jxl(data: bytes) -> Image.Image:
    return Image.fromarray(imagecodecs.jpegxl_decode(data, numthreads=1))


def _avif_codec(name: str, chroma: str, speed: int = AVIF_SPEED, tune: str | None = None) -> Codec:
    tuning = "tuned for PSNR" if tune else "libavif's own perceptual tuning"
    settings = (4, 12, 22, 35, 50, 65, 80) if not tune else (2, 8, 15, 25, 40, 55, 70)
    return Codec(
        name=name,
        description=f"libavif through Pillow, {chroma}, {tuning}, speed {speed}; setting = quality",
        settings=settings,
        encode=_avif(chroma, speed, tune),
        decode=_open,
    )


def _heic_codec(name: str, chroma: int) -> Codec:
    return Codec(
        name=name,
        description="x265 intra through pillow-heif, libheif's own preset and tuning, "
        f"{':'.join(str(chroma))}; setting = quality",
        settings=(5, 15, 25, 35, 45, 55, 65),
        encode=_heic(chroma),
        decode=_open_heic,
    )


JPEG = Codec(
    name="JPEG",
    description="libjpeg-turbo through Pillow, optimised Huffman tables, 4:2:0; setting = quality",
    settings=(4, 8, 15, 30, 50, 70, 85, 92),
    encode=_jpeg,
    decode=_open,
)
JPEG2000 = Codec(
    name="JPEG 2000",
    description="OpenJPEG through Pillow, irreversible 9/7, mct=1, one layer in rates mode; setting = bpp",
    settings=(0.08, 0.15, 0.25, 0.4, 0.7, 1.1, 1.6, 2.2),
    encode=_jpeg2000,
    decode=_open,
)
WEBP = Codec(
    name="WebP",
    description="libwebp through Pillow, lossy, method 6; setting = quality",
    settings=(0, 5, 20, 40, 60, 80, 90),
    encode=_webp,
    decode=_open,
)
HEIC = _heic_codec("HEIC", 420)
HEIC_444 = _heic_codec("HEIC 4:4:4", 444)
AVIF = _avif_codec("AVIF", "4:2:0")
AVIF_444 = _avif_codec("AVIF 4:4:4", "4:4:4")
AVIF_PSNR = _avif_codec("AVIF PSNR", "4:2:0", tune="psnr")
AVIF_444_PSNR = _avif_codec("AVIF 4:4:4 PSNR", "4:4:4", tune="psnr")
AVIF_444_SLOW = _avif_codec("AVIF 4:4:4 slow", "4:4:4", AVIF_SLOW)
AVIF_444_PSNR_SLOW = _avif_codec("AVIF 4:4:4 PSNR slow", "4:4:4", AVIF_SLOW, "psnr")
JXL = Codec(
    name="JPEG XL",
    description=f"libjxl through imagecodecs, effort {JXL_EFFORT}; setting = Butteraugli distance",
    settings=(14, 10, 7, 4.5, 2.8, 1.7, 1),
    encode=_jxl,
    decode=_open_jxl,
)

# What one word on a command line stands for.
FAMILIES = {
    "jpeg": (JPEG,),
    "jpeg2000": (JPEG2000,),
    "webp": (WEBP,),
    "avif": (AVIF, AVIF_444, AVIF_PSNR, AVIF_444_PSNR),
    "avif-slow": (AVIF_444_SLOW, AVIF_444_PSNR_SLOW),
    "heic": (HEIC, HEIC_444),
    "jxl": (JXL,),
}
ANCHORS = {codec.name: codec for family in FAMILIES.values() for codec in family}


def anchor(name: str) -> Codec:
    """The anchor of that name, in any spelling: "jpeg2000" finds JPEG 2000, "avif-444" AVIF 4:4:4.

    Raises InvalidInputError for another name.
    """
    plain = {_plain(key): codec for key, codec in ANCHORS.items()}
    try:
        return plain[_plain(name)]
    except KeyError:
        raise InvalidInputError(f"there is no anchor {name!r}; choose from {', '.join(ANCHORS)}.") from None


def anchors_of(names: str) -> list[Codec]:
    """Anchors of a list with commas: families ("avif": four codecs) and names ("avif-444"), or "all".

    Raises InvalidInputError for another name, or none.
    """
    words = list(FAMILIES) if names == "all" else [word.strip() for word in names.split(",") if word.strip()]
    if not words:
        raise InvalidInputError(f"no anchor is named; choose from {', '.join(FAMILIES)} or all.")
    found = [codec for word in words for codec in FAMILIES.get(word.lower()) or (_named(word),)]
    return list(dict.fromkeys(found))


def _named(word: str) -> Codec:
    try:
        return anchor(word)
    except InvalidInputError:
        families = ", ".join(FAMILIES)
        single = ", ".join(ANCHORS)
        raise InvalidInputError(
            f"there is no anchor {word!r}; choose from {families}; or singly from {single}."
        ) from None


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def jpeg_at_bytes(image: Image.Image, size: int) -> bytes:
    """The smallest JPEG of at least `size` bytes (quality 100 if none is): JPEG never gets fewer bytes."""
    at = bisect_left(JPEG_QUALITIES, size, key=lambda quality: len(_jpeg(image, quality)))
    return _jpeg(image, JPEG_QUALITIES[min(at, len(JPEG_QUALITIES) - 1)])
