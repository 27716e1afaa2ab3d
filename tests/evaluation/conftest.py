import numpy as np
import pytest
from PIL import Image

from barycode.evaluation.rate_distortion import Picture


def smooth_picture(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [127 + 60 * np.sin(x / a) + 60 * np.cos(y / b) for a, b in ((9, 14), (17, 8), (25, 31))]
    return Image.fromarray(np.stack(waves, -1).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def picture() -> Picture:
    return Picture("waves", smooth_picture(192, 176))


@pytest.fixture(scope="session")
def small_picture() -> Picture:
    return Picture("small", smooth_picture(48, 40))
