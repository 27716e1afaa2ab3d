"""Synthetic pictures for tests."""

import numpy as np
from PIL import Image, ImageDraw


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 (height, width, 3): smooth colours, an edge and some noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y / 9 + c) + np.cos(x / 13 - c) for c in range(3)]
    picture = 128 + 40 * np.stack(waves, -1) + 60 * (x > 0.4 * width + 0.3 * y)[..., None]
    return np.clip(picture + random.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def dialog(height: int = 96, width: int = 128) -> np.ndarray:
    """A window with flat areas, lines and letters."""
    image = Image.new("RGB", (width, height), (240, 240, 244))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, 14), fill=(30, 60, 120))
    draw.text((4, 2), "Settings of the window", fill=(255, 255, 255))
    for row in range(3):
        draw.text((8, 24 + 18 * row), f"Option {row}", fill=(20, 20, 20))
        draw.rectangle((80, 24 + 18 * row, 90, 34 + 18 * row), outline=(90, 90, 90), fill=(255, 255, 255))
    return np.asarray(image)


def window() -> np.ndarray:
    """Dialogs with a photo before them."""
    picture = np.tile(dialog(), (2, 2, 1))
    picture[64:160, 96:224] = scene(96, 128)
    return picture


def night() -> np.ndarray:
    """uint8 (96, 128, 3): a smooth sky, a little noise, and points of light."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[:96, :128]
    picture = np.stack([20 + x / 4, 30 + y / 4, 60 + (x + y) / 6], -1) + random.normal(0, 2, (96, 128, 3))
    places = random.integers(0, (96, 128), (60, 2))
    picture[places[:, 0], places[:, 1]] = 250
    return picture.astype(np.uint8)
