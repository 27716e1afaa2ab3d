from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.images import compress, decompress
from barycode.images.codec import compress_at
from barycode.images.model import ImageModel
from barycode.images.registry import find_model
from barycode.images.steps import step_of
from scenes import scene


def cost(data: bytes, picture: np.ndarray, model: ImageModel, index: int) -> float:
    """Squared error in steps + lambda bits, as the encoder counts it, but from the file."""
    decoded = np.asarray(decompress(data, model=model), dtype=np.float64)
    step = step_of(index)
    return ((decoded - picture) ** 2).sum() / (3 * step**2) + model.config.rate_weight * 8 * len(data)


@pytest.mark.parametrize("index", [12, -34])
def test_refined_codes_cost_less_in_the_decoded_file(index):
    picture = scene(96, 136)
    model = find_model("photo")
    plain, refined = (compress_at(picture, index, model, effort=effort) for effort in (0, 3))
    assert cost(refined, picture, model, index) < 0.997 * cost(plain, picture, model, index)


def test_more_effort_never_costs_more():
    picture = scene(64, 72)
    model = find_model("photo")
    costs = [cost(compress_at(picture, 12, model, effort=e), picture, model, 6) for e in (0, 1, 3, 5)]
    assert all(after <= before * 1.001 for before, after in pairwise(costs))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (9, 5), (70, 31)])
def test_every_mode_and_size_is_refined(mode, size):
    image = Image.fromarray(scene(size[1], size[0])).convert(mode)
    back = decompress(compress(image, effort=2))
    assert (back.size, back.mode) == (image.size, image.mode)


@pytest.mark.parametrize("effort", [-1, 10, 2.5, "high", None])
def test_an_effort_that_does_not_exist_is_refused(effort):
    with pytest.raises(InvalidInputError, match="effort"):
        compress(scene(16, 16), effort=effort)
