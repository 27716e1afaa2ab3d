"""Smooth pictures, far larger than what the decoder was trained on, must stay smooth: a network may break up
where it never saw a training example.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from barycode.images import compress, decompress
from barycode.images.model import ImageModel
from barycode.images.registry import find_model, shipped_models

SIZE = (416, 320)


def plane(colours, ripple=0.0):
    """A picture that goes from one colour to another along the diagonal, with a faint ripple."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    along = ((x + y) / (SIZE[0] + SIZE[1]))[..., None]
    first, second = (np.array(colour, float) for colour in colours)
    pixels = first + (second - first) * along + ripple * np.sin(x / 23)[..., None] * np.cos(y / 31)[..., None]
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


PICTURES = {
    "white": plane([(255, 255, 255), (255, 255, 255)]),
    "black": plane([(0, 0, 0), (3, 2, 4)]),
    "sky": plane([(250, 250, 245), (200, 220, 250)], 4),
    "dusk": plane([(255, 250, 220), (240, 200, 150)], 6),
    "night": plane([(5, 5, 20), (40, 30, 60)], 4),
}


def without_corrections(name):
    """The model, its decoder the plain inverse transform that training started from."""
    model = ImageModel.from_bytes(find_model(name).to_bytes())
    with torch.no_grad():
        model.decoder.filter.leave.weight.zero_()
        model.decoder.filter.leave.bias.zero_()
    return model


@pytest.mark.parametrize("model", shipped_models())
@pytest.mark.parametrize("name", PICTURES)
def test_the_network_is_no_worse_than_the_transform(name, model):
    picture, plain = np.asarray(PICTURES[name], float), without_corrections(model)
    for quality in (1, 2, 3, 5, 8):
        data = compress(PICTURES[name], quality=quality, model=model, effort=0)
        ours, transform = (
            ((np.asarray(decompress(data, model=m), float) - picture) ** 2).mean() for m in (model, plain)
        )
        assert ours <= 2 * transform + 5, f"at quality {quality}"
