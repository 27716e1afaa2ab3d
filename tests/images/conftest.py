"""Small pictures and a tiny, untrained model: fast, and everything but the compression is the same."""

import pytest
import torch

from barycode.images.model import ImageModel, ModelConfig
from barycode.images.steps import StepPolicy


def tiny_model(policy: StepPolicy | None = None) -> ImageModel:
    torch.manual_seed(0)
    config = ModelConfig("tiny", policy=policy or StepPolicy(), channels=4, depth=1, hidden=8)
    return ImageModel.from_bytes(ImageModel(config).to_bytes())


@pytest.fixture(scope="session")
def tiny() -> ImageModel:
    return tiny_model()


@pytest.fixture(scope="session")
def active() -> ImageModel:
    """A model whose steps follow activity."""
    return tiny_model(StepPolicy(exponent=0.5, growth=0.06, chroma=1.3))
