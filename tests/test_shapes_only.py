import pytest
import torch
from torch import nn

from barycode.images.model import ImageModel, ModelConfig
from barycode.shapes_only import shapes_only


def random_start() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 4), nn.Conv2d(2, 5, 3), nn.Embedding(7, 2))
    module.scaled = nn.Parameter(torch.randn(6, 2) * 0.5 / 3)
    module.drawn = nn.Parameter(torch.rand(1, 3).mul(2))
    module.product = nn.Parameter(torch.zeros(4, 1) * torch.ones(1, 3))
    return module


@pytest.mark.parametrize("build", [random_start, lambda: ImageModel(ModelConfig("x", hidden=8, channels=8))])
def test_shapes_are_those_of_the_real_module(build):
    with shapes_only():
        empty = build().state_dict()
    real = build().state_dict()
    assert {name: tensor.shape for name, tensor in empty.items()} == {
        name: tensor.shape for name, tensor in real.items()
    }


def test_no_random_number_is_drawn():
    before = torch.get_rng_state()
    with shapes_only():
        random_start()
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_allocated():
    with shapes_only():
        assert nn.Linear(2**20, 2**20).weight.device.type == "meta"
