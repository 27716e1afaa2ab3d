import numpy as np
import pytest


@pytest.fixture
def images() -> np.ndarray:
    """Five random pictures, uint8 (5, 6, 8, 3)."""
    return np.random.default_rng(7).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)
