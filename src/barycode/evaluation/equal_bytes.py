"""What codecs make of one picture with the same number of bytes."""

import math
from dataclasses import dataclass

from PIL import Image

from barycode.evaluation.rate_distortion import Codec

STEPS = 9
CLOSE = 0.005  # of the size: near enough to stop


@dataclass(frozen=True)
class Shot:
    """A file of a codec, with the setting that made it and the picture it decodes to."""

    setting: float
    size: int
    image: Image.Image


def at_setting(codec: Codec, image: Image.Image, setting: float) -> Shot:
    """The file of a codec at one of its settings."""
    data = codec.encode(image, setting)
    return Shot(setting, len(data), codec.decode(data))


def at_bytes(codec: Codec, image: Image.Image, size: int) -> Shot:
    """The file whose size is nearest to `size` bytes, by bisection between the codec's outer settings.

    The settings rise in rate. Whoever asks shows the size that was reached: a codec may not come near.
    """
    low, high = codec.settings[0], codec.settings[-1]
    found = {setting: codec.encode(image, setting) for setting in (low, high)}

    def distance(setting: float) -> float:
        return abs(math.log(len(found[setting]) / size))

    for _ in range(STEPS):
        middle = (low + high) / 2
        found[middle] = codec.encode(image, middle)
        if distance(middle) < CLOSE:
            break
        low, high = (middle, high) if len(found[middle]) < size else (low, middle)
    setting = min(found, key=distance)
    data = found[setting]
    return Shot(setting, len(data), codec.decode(data))
