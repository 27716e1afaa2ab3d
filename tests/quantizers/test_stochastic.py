import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import StochasticQuantizer


def test_draws_follow_the_softmax_of_scaled_distances():
    torch.manual_seed(0)
    quantizer = StochasticQuantizer(4, 2, variance=0.5, temperature=1e-3)
    z = torch.tensor([0.3, -0.2])
    distances = (quantizer.codebook.vectors.detach() - z).square().sum(1)
    expected = torch.softmax(-distances / (2 * 0.5), 0)
    drawn = torch.bincount(quantizer(z.expand(20_000, 2)).indices, minlength=4) / 20_000
    torch.testing.assert_close(drawn, expected, atol=0.02, rtol=0)


def test_losses_by_their_definitions():
    torch.manual_seed(0)
    quantizer = StochasticQuantizer(6, 3, variance=0.7, loss_weight=0.25)
    z = torch.randn(5, 4, 3)
    result = quantizer(z)
    distances = (z.unsqueeze(-2) - quantizer.codebook.vectors).square().sum(-1)
    p = torch.softmax(-distances / 1.4, -1)
    torch.testing.assert_close(result.losses["entropy_loss"], (p * p.log()).sum(-1).mean())
    precision = (z - result.quantized).square().sum(-1).mean() / 1.4
    torch.testing.assert_close(result.losses["precision_loss"], precision)
    torch.testing.assert_close(result.loss, 0.25 * sum(result.losses.values()))


def test_the_variance_is_learned():
    quantizer = StochasticQuantizer(6, 3)
    quantizer(torch.randn(10, 3)).loss.backward()
    assert quantizer.log_variance.grad.abs() > 0


@pytest.mark.parametrize("bad", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_numbers_are_typed_errors(bad):
    with pytest.raises(InvalidInputError, match="variance"):
        StochasticQuantizer(4, 2, variance=bad)
    with pytest.raises(InvalidInputError, match="temperature"):
        StochasticQuantizer(4, 2).anneal_to(bad)
