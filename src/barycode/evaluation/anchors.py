"""The codecs that everyone has, at pinned settings: JPEG, JPEG 2000, WebP, AVIF and HEIC.

Each grid of settings spans about 0.08 to 2.2 bits per pixel on the Kodak pictures.
"""

import io
from bisect import bisect_left
from typing import Any

import pillow_heif
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.evaluation.rate_distortion import Codec

BITS_PER_RGB_PIXEL = 24
JPEG_QUALITIES = range(1, 101)


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


def _avif(image: Image.Image, quality: float) -> bytes:
    return _save(
        image, "AVIF", {"quality": int(quality), "subsampling": "4:2:0", "speed": 6, "max_threads": 1}
    )


def _heic(image: Image.Image, quality: float) -> bytes:
    pillow_heif.register_heif_opener()
    return _save(image, "HEIF", {"quality": int(quality), "chroma": 420})


def _open_heic(data: bytes) -> Image.Image:
    pillow_heif.register_heif_opener()
    return _open(data)


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
AVIF = Codec(
    name="AVIF",
    description="libavif through Pillow, 4:2:0, speed 6; setting = quality",
    settings=(4, 12, 22, 35, 50, 65, 80),
    encode=_avif,
    decode=_open,
)
HEIC = Codec(
    name="HEIC",
    description="x265 intra through pillow-heif, libheif's own preset and tuning, 4:2:0; setting = quality",
    settings=(5, 15, 25, 35, 45, 55, 65),
    encode=_heic,
    decode=_open_heic,
)
ANCHORS = {codec.name: codec for codec in (JPEG, JPEG2000, WEBP, AVIF, HEIC)}


def anchor(name: str) -> Codec:
    """The anchor of that name, in any spelling: "jpeg2000" finds JPEG 2000."""
    plain = {key.replace(" ", "").lower(): codec for key, codec in ANCHORS.items()}
    try:
        return plain[name.replace(" ", "").lower()]
    except KeyError:
        raise InvalidInputError(f"there is no anchor {name!r}; choose from {', '.join(ANCHORS)}.") from None


def jpeg_at_bytes(image: Image.Image, size: int) -> bytes:
    """The smallest JPEG of at least `size` bytes (quality 100 if none is): JPEG never gets fewer bytes."""
    at = bisect_left(JPEG_QUALITIES, size, key=lambda quality: len(_jpeg(image, quality)))
    return _jpeg(image, JPEG_QUALITIES[min(at, len(JPEG_QUALITIES) - 1)])
