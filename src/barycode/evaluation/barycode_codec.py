"""Our picture codec among the codecs that are measured."""

from pathlib import Path

from PIL import Image

from barycode.evaluation.rate_distortion import Codec
from barycode.images import compress, decompress, shipped_models
from barycode.images.refinement import DEFAULT_EFFORT

# So far that every picture's curve passes 0.1 and 1 bpp, whatever it shows.
QUALITIES = (1, 2, 3, 4, 5, 6)
DEFAULT_MODEL = "photo"


def barycode_codec(
    model: str | Path = DEFAULT_MODEL,
    settings: tuple[float, ...] = QUALITIES,
    name: str = "Barycode",
    effort: int = DEFAULT_EFFORT,
) -> Codec:
    """The picture codec with a shipped model or a model file, as a Codec; settings are qualities."""
    # A file names its shipped model itself; a model of the user's own has to be handed over.
    at_decoder = None if str(model) in shipped_models() else model

    def decode(data: bytes) -> Image.Image:
        return decompress(data, model=at_decoder).convert("RGB")

    which = f"the model {Path(model).name!r} at effort {effort}"
    return Codec(
        name=name,
        description=f"{which}, whole .bary files; setting = quality",
        settings=settings,
        encode=lambda image, quality: compress(image, quality=quality, effort=effort, model=model),
        decode=decode,
    )
