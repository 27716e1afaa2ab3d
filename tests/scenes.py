"""Synthetic pictures for tests."""

import numpy as np


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 (height, width, 3): smooth colours, an edge and some noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y / 9 + c) + np.cos(x / 13 - c) for c in range(3)]
    picture = 128 + 40 * np.stack(waves, -1) + 60 * (x > 0.4 * width + 0.3 * y)[..., None]
    return np.clip(picture + random.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
