import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import SoftToHardQuantizer


def test_scalar_centers_of_a_known_case():
    quantizer = SoftToHardQuantizer(2, 1, sigma=0.5)
    quantizer.codebook.load(torch.tensor([[0.0], [1.0]]))
    z = torch.tensor([[0.5], [0.0]])
    phi = 1 / (1 + torch.exp(torch.tensor(-0.5)))
    torch.testing.assert_close(quantizer(z).quantized.flatten(), torch.stack([torch.tensor(0.5), 1 - phi]))


def test_training_output_is_the_decoded_weights():
    quantizer = SoftToHardQuantizer(16, 3, sigma=2.0)
    result = quantizer(torch.randn(5, 4, 3))
    assert torch.equal(result.weights.decode(quantizer.codebook.vectors), result.quantized)


def test_hard_forward_has_the_gradient_of_the_soft_output():
    soft = SoftToHardQuantizer(16, 3)
    hard = SoftToHardQuantizer(16, 3, hard_forward=True)
    hard.load_state_dict(soft.state_dict())
    z, g = torch.randn(30, 3, requires_grad=True), torch.randn(30, 3)
    grads = []
    for quantizer in (soft, hard):
        quantized = quantizer(z).quantized
        grads.append(torch.autograd.grad(quantized, [z, quantizer.codebook.vectors], g))
    assert torch.equal(hard(z).quantized, hard.reconstruct(z))
    for a, b in zip(*grads, strict=True):
        assert torch.equal(a, b)


def test_the_histogram_is_differentiable():
    quantizer = SoftToHardQuantizer(4, 1)
    z = torch.randn(10, 1, requires_grad=True)
    q = quantizer(z).weights.total() / 10
    torch.special.entr(q).sum().backward()
    assert z.grad is not None
    assert z.grad.abs().sum() > 0


def test_sigma_is_saved_and_checked():
    quantizer = SoftToHardQuantizer(4, 1, sigma=3.0)
    quantizer.anneal_to(7.5)
    other = SoftToHardQuantizer(4, 1)
    other.load_state_dict(quantizer.state_dict())
    assert other.sigma == 7.5
    for sigma in (-1.0, float("inf"), float("nan")):
        with pytest.raises(InvalidInputError, match="sigma"):
            quantizer.anneal_to(sigma)
