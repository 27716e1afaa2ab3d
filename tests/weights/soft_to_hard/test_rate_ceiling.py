import pytest
import torch
from torch import nn

from barycode.weights.soft_to_hard import RateCeiling, code_entropy, compressible, rate_loss, relative_grid


@pytest.fixture
def model():
    torch.manual_seed(0)
    return compressible(nn.Sequential(nn.Linear(64, 64)), relative_grid(2.0))


def test_above_the_ceiling_bits_get_dearer_and_a_fixed_price_stays(model):
    rising, fixed = RateCeiling(model, 0.5, price=2.0), RateCeiling(model, 0.5, price=2.0, dearer=1.0)
    for done in (0.5, 0.6, 0.7):
        torch.testing.assert_close(fixed.loss(model, done), 2.0 * rate_loss(model))
        rising.loss(model, done)
    assert fixed.price == 2.0
    assert rising.price == pytest.approx(2.0 * 1.03**3)


def test_below_the_ceiling_nothing_is_added(model):
    ceiling = RateCeiling(model, code_entropy(model) + 1)
    assert float(ceiling.loss(model, 1.0)) == 0.0
    assert ceiling.price == 1.0
