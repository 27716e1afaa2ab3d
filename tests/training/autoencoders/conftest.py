import numpy as np
import pytest
import torch

from barycode.training.autoencoders.pictures import Pictures


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pictures() -> Pictures:
    """Smooth made-up pictures, 8x8, so that a step costs nothing."""
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 255, (90, 2, 2, 3))
    weights = np.stack([1 - np.arange(8) / 7, np.arange(8) / 7], 1)
    images = np.einsum("ya,xb,nabc->nyxc", weights, weights, corners).astype(np.uint8)
    return Pictures(images[:60], images[60:70], images[70:])
