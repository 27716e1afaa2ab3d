"""Small pictures and a tiny, untrained model: fast, and everything but the compression is the same."""

import numpy as np
import pytest
import torch

from barycode.images.model import ImageModel, ModelConfig
from barycode.images.steps import StepPolicy


def tiny_model(policy: StepPolicy | None = None) -> ImageModel:
    torch.manual_seed(0)
    config = ModelConfig("tiny", policy=policy or StepPolicy(), channels=8, depth=1, post_channels=4, post_depth=1, hidden=8)
    return ImageModel.from_bytes(ImageModel(config).to_bytes())


@pytest.fixture(scope="session")
def tiny() -> ImageModel:
    return tiny_model()


@pytest.fixture(scope="session")
def active() -> ImageModel:
    """A model whose steps follow activity."""
    return tiny_model(StepPolicy(exponent=0.5, growth=0.06, chroma=1.3))


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 (height, width, 3): smooth colours, an edge and some noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y / 9 + c) + np.cos(x / 13 - c) for c in range(3)]
    picture = 128 + 40 * np.stack(waves, -1) + 60 * (x > 0.4 * width + 0.3 * y)[..., None]
    return np.clip(picture + random.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
