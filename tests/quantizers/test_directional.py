import pytest
import torch

from barycode.quantizers import DirectionalVectorQuantizer, SpaceFillingVectorQuantizer


def test_without_noise_training_returns_the_code_vector():
    quantizer = DirectionalVectorQuantizer(16, 5, noise_variance=0)
    z = torch.randn(100, 5)
    result = quantizer(z)
    torch.testing.assert_close(result.quantized, quantizer.decode(result.indices))
    assert result.loss == 0


def test_the_error_has_the_length_of_the_distance_whatever_the_noise():
    quantizer = DirectionalVectorQuantizer(16, 5, noise_variance=1.0)
    z = torch.randn(100, 5)
    result = quantizer(z)
    distance = (quantizer.decode(result.indices) - z).norm(dim=1)
    torch.testing.assert_close((result.quantized - z).norm(dim=1), distance)


def test_the_gradient_is_that_of_the_papers_equation():
    """With u the unit error held, dq/dz = I - u e^T and dq/dc = u e^T for e = (c - z) / |c - z|."""
    quantizer = DirectionalVectorQuantizer(1, 3, noise_variance=0).double()
    z = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(3, dtype=torch.float64)
    (quantizer(z).quantized @ upstream).sum().backward()
    error = (quantizer.codebook.vectors - z).detach()[0]
    unit = error / error.norm()
    torch.testing.assert_close(z.grad[0], upstream - unit * (unit @ upstream))
    torch.testing.assert_close(quantizer.codebook.vectors.grad[0], unit * (unit @ upstream))


def test_it_agrees_with_vector_quantize_pytorch():
    peer = pytest.importorskip("vector_quantize_pytorch.vector_quantize_pytorch")
    quantizer = DirectionalVectorQuantizer(16, 5, noise_variance=0.3)
    z = torch.randn(100, 5)
    codes = quantizer.decode(quantizer.encode(z))
    torch.manual_seed(1)
    ours = quantizer(z).quantized
    torch.manual_seed(1)
    torch.testing.assert_close(ours, peer.directional_reparam(z, codes, 0.3))


def test_space_filling_points_lie_on_the_segments():
    quantizer = SpaceFillingVectorQuantizer(16, 5, noise_variance=0)
    result = quantizer(torch.randn(100, 5))
    torch.testing.assert_close(result.quantized, result.weights.decode(quantizer.codebook.vectors))
    assert torch.equal(result.weights.indices[:, 1] - result.weights.indices[:, 0], torch.ones(100).long())
    torch.testing.assert_close(result.weights.values.sum(1), torch.ones(100))
    assert torch.equal(result.indices, result.weights.vertex())


def test_space_filling_takes_the_nearest_of_the_points_drawn():
    quantizer = SpaceFillingVectorQuantizer(8, 3, noise_variance=0)
    z = torch.randn(50, 3)
    torch.manual_seed(3)
    result = quantizer(z)
    torch.manual_seed(3)
    share = torch.rand(7)[:, None]
    codes = quantizer.codebook.vectors.detach()
    distances = torch.cdist(z, (1 - share) * codes[:-1] + share * codes[1:])
    torch.testing.assert_close((result.quantized - z).norm(dim=1), distances.amin(1))


def test_one_loss_trains_the_codebook_along_the_curve():
    torch.manual_seed(0)
    quantizer = SpaceFillingVectorQuantizer(16, 2)
    data = torch.randn(500, 2) + 3
    optimizer = torch.optim.Adam(quantizer.parameters(), 0.05)
    before = (quantizer.reconstruct(data) - data).square().mean()
    for _ in range(100):
        optimizer.zero_grad()
        (quantizer(data).quantized - data).square().mean().backward()
        optimizer.step()
    assert (quantizer.reconstruct(data) - data).square().mean() < 0.2 * before


@pytest.mark.parametrize("kind", [DirectionalVectorQuantizer, SpaceFillingVectorQuantizer])
def test_distances_whose_squares_are_no_numbers(kind):
    quantizer = kind(16, 5, noise_variance=0)
    z = (1e20 * torch.randn(100, 5)).requires_grad_()
    result = quantizer(z)
    assert result.quantized.isfinite().all()
    result.quantized.sum().backward()
    assert z.grad.isfinite().all()
