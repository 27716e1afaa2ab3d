import pytest
import torch
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.rate.integer_network import (
    ACTIVATION_LIMIT,
    SHIFT,
    IntegerConvolution,
    IntegerLayer,
    activate,
    round_through,
)


def test_activation_is_a_shift_between_zero_and_the_limit():
    total = torch.tensor([-500.0, -1, 0, 127, 128, 129, 1e6])
    assert activate(total).tolist() == [0, 0, 0, 0, 1, 1, ACTIVATION_LIMIT]
    assert torch.equal(activate(total.clone().requires_grad_()), activate(total.clone()))


def test_gradients_pass_rounding_and_stop_at_the_limits():
    total = torch.tensor([-500.0, 1000, 1e6], requires_grad=True)
    activate(total).sum().backward()
    torch.testing.assert_close(total.grad, torch.tensor([0, 1 / 2**SHIFT, 0]))
    x = torch.tensor([0.4, 1.6], requires_grad=True)
    assert round_through(x).tolist() == [0, 2]
    round_through(x).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_a_layer_is_the_product_of_its_integers():
    layer = IntegerLayer(7, 5)
    weight, bias = layer.integers()
    x = torch.randint(0, 128, (3, 7))
    expected = x.long() @ weight.long().T + bias.long()
    assert torch.equal(layer(x.float()).long(), expected)
    assert torch.equal(weight, weight.round())


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4)])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_convolution_without_gradients_equals_the_one_with(size, batch):
    layer = IntegerConvolution(4, 6)
    x = torch.randint(-32, 33, (batch, *size, 4)).float()
    trained = layer(x)
    assert trained.requires_grad
    with torch.no_grad():
        assert torch.equal(layer(x), trained)
    weight = layer.integers().double()
    wide = functional.conv2d(x.double().permute(0, 3, 1, 2), weight, padding=1).permute(0, 2, 3, 1)
    assert torch.equal(trained.double(), wide)


def test_sums_that_could_be_inexact_are_refused():
    layer = IntegerLayer(2000, 1)
    torch.nn.init.ones_(layer.weight)
    layer.check_exact(32)
    with pytest.raises(InvalidInputError, match="sums"):
        layer.check_exact(127)
