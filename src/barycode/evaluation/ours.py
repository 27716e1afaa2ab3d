"""Our picture codec among the codecs that are measured."""

from collections.abc import Callable

from PIL import Image

from barycode.evaluation.rate_distortion import Codec
from barycode.images import compress, decompress

# Half steps, so that every picture's curve passes 0.1 and 1 bpp, whatever it shows.
QUALITIES = (1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5)


def barycode_codec(
    name: str = "Barycode",
    settings: tuple[float, ...] = QUALITIES,
    encode: Callable[..., bytes] = compress,
) -> Codec:
    """The picture codec as a Codec; `encode(image, quality=...)` may stand for another model or options."""
    return Codec(
        name=name,
        description="barycode.images.compress, whole .bary file; setting = quality",
        settings=settings,
        encode=lambda image, quality: encode(image, quality=quality),
        decode=_decode,
    )


def _decode(data: bytes) -> Image.Image:
    return decompress(data).convert("RGB")
