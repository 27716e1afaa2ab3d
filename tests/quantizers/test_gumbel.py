import math

import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import GumbelQuantizer


def test_codes_are_drawn_with_the_probabilities_of_the_softmax():
    torch.manual_seed(0)
    quantizer = GumbelQuantizer(3, 1)
    quantizer.codebook.load(torch.tensor([[0.0], [1.0], [2.0]]))
    indices = quantizer(torch.full((20_000, 1), 0.3)).indices
    drawn = torch.bincount(indices, minlength=3) / 20_000
    expected = torch.softmax(-(0.3 - torch.tensor([0.0, 1.0, 2.0])).square(), 0)
    torch.testing.assert_close(drawn, expected, atol=0.015, rtol=0)


def test_hard_forward_returns_the_drawn_vector_with_a_gradient():
    quantizer = GumbelQuantizer(8, 2)
    z = torch.randn(30, 2, requires_grad=True)
    quantized, indices, _ = quantizer(z)
    assert torch.equal(quantized, quantizer.decode(indices))
    grad_z, grad_codebook = torch.autograd.grad(quantized.sum(), [z, quantizer.codebook.vectors])
    assert grad_z.abs().sum() > 0
    assert grad_codebook.abs().sum() > 0


def test_weights_become_one_hot_as_the_temperature_falls():
    entropies = []
    for temperature in (10.0, 1.0, 0.1, 0.001):
        torch.manual_seed(0)
        quantizer = GumbelQuantizer(8, 2, temperature=temperature)
        entropies.append(quantizer(torch.zeros(200, 2)).weights.entropy().mean().item())
    assert entropies == sorted(entropies, reverse=True)
    assert entropies[-1] < 0.05


def test_kl_loss_is_log_k_minus_the_entropy():
    quantizer = GumbelQuantizer(4, 1, kl_weight=2.0)
    quantizer.codebook.load(torch.zeros(4, 1))
    assert quantizer(torch.randn(5, 1)).loss.item() == pytest.approx(0, abs=1e-6)
    quantizer.codebook.load(torch.tensor([[0.0], [100.0], [200.0], [300.0]]))
    result = quantizer(torch.zeros(5, 1))
    assert result.losses["kl_loss"].item() == pytest.approx(math.log(4))
    assert result.loss.item() == pytest.approx(2 * math.log(4))


def test_a_bad_temperature_is_a_typed_error():
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="temperature"):
            GumbelQuantizer(4, 1, temperature=temperature)
