import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import (
    CollapseWarning,
    ProductQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
    kmeans,
    rotation_trick,
)


def test_the_losses_are_routed_to_what_they_name():
    quantizer = VectorQuantizer(8, 3)
    z = torch.randn(20, 3, requires_grad=True)
    losses = quantizer(z).losses
    parameters = [z, quantizer.codebook.vectors]
    commitment = torch.autograd.grad(losses["commitment_loss"], parameters, allow_unused=True)
    codebook = torch.autograd.grad(losses["codebook_loss"], parameters, allow_unused=True)
    assert commitment[1] is None
    assert codebook[0] is None
    hard = quantizer.reconstruct(z).detach()
    torch.testing.assert_close(commitment[0], 2 * (z - hard) / z.numel())
    expected = torch.zeros(8, 3).index_add(0, quantizer.encode(z), 2 * (hard - z).detach() / z.numel())
    torch.testing.assert_close(codebook[1], expected)


def test_beta_is_on_the_commitment():
    z = torch.randn(20, 3)
    quantizer = VectorQuantizer(8, 3, commitment_weight=0.5)
    _, _, loss = result = quantizer(z)
    mse = (z - quantizer.reconstruct(z)).square().mean()
    torch.testing.assert_close(result.losses["commitment_loss"], mse)
    torch.testing.assert_close(loss, 1.5 * mse)


def test_a_frozen_codebook_asks_for_no_codebook_loss():
    quantizer = VectorQuantizer(8, 3).requires_grad_(False)
    result = quantizer(torch.randn(20, 3))
    assert set(result.losses) == {"commitment_loss"}
    assert result.loss == 0.25 * result.losses["commitment_loss"]


def test_the_gradient_reaches_z_in_both_modes_and_never_the_codebook():
    for mode in (True, False):
        quantizer = VectorQuantizer(8, 3).train(mode)
        z = torch.randn(20, 3, requires_grad=True)
        g = torch.randn(20, 3)
        grads = torch.autograd.grad(
            quantizer(z).quantized, [z, quantizer.codebook.vectors], g, allow_unused=True
        )
        assert torch.equal(grads[0], g)
        assert grads[1] is None


def test_the_estimator_is_swappable():
    quantizer = VectorQuantizer(8, 3, estimator=rotation_trick)
    z = torch.randn(20, 3, requires_grad=True)
    (grad,) = torch.autograd.grad(quantizer(z).quantized.sum(), z)
    (expected,) = torch.autograd.grad(rotation_trick(z, quantizer.reconstruct(z)).sum(), z)
    assert torch.equal(grad, expected)


def test_training_by_gradient_lowers_the_distortion():
    torch.manual_seed(0)
    quantizer = VectorQuantizer(16, 2)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.05)
    z = torch.randn(500, 2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        _, _, loss = quantizer(z)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_an_estimator_is_a_function():
    assert "estimator=rotation_trick" in repr(VectorQuantizer(8, 2, estimator=rotation_trick))
    for quantizer in (VectorQuantizer, ResidualQuantizer):
        with pytest.raises(InvalidInputError, match="such as rotation_trick, not 'rotation'"):
            quantizer(8, 2, estimator="rotation")


@pytest.mark.parametrize("quantizer", [VectorQuantizer, ResidualQuantizer, ProductQuantizer])
def test_a_codebook_far_from_the_data_is_pointed_out_once(quantizer):
    torch.manual_seed(0)
    vq = quantizer(64, 4)
    z = torch.randn(64, 4) * 1e-3
    with pytest.warns(CollapseWarning, match=r"Only \d of 64 .*CodebookMaintenance"):
        vq(z)
    vq(z)
    started = quantizer(64, 4)
    started(z[:5])  # too few to tell
    started.initialize(z, kmeans)
    started(z)
