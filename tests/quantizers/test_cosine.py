import torch
from torch.nn import functional

from barycode.quantizers import CosineVectorQuantizer
from barycode.quantizers.core.sphere import on_sphere


def test_it_finds_the_largest_cosine_and_returns_the_direction():
    quantizer = CosineVectorQuantizer(32, 6)
    z = 7 * torch.randn(200, 6)
    cosines = functional.cosine_similarity(z[:, None], quantizer.codebook.vectors[None], dim=-1)
    result = quantizer(z)
    assert torch.equal(result.indices, cosines.argmax(1))
    torch.testing.assert_close(result.quantized.norm(dim=1), torch.ones(200))
    assert torch.equal(quantizer.encode(100 * z), result.indices)


def test_no_gradient_along_the_length_reaches_z():
    quantizer = CosineVectorQuantizer(32, 6)
    z = torch.randn(50, 6, dtype=torch.float64, requires_grad=True)
    result = quantizer(z)
    ((result.quantized * torch.arange(6)).sum() + result.loss).backward()
    torch.testing.assert_close((z.grad * z).sum(1), torch.zeros(50, dtype=torch.float64))
    assert (z.grad != 0).any()


def test_directions_of_any_length_and_their_gradient():
    z = torch.tensor([[3.0, 4.0], [3e37, 4e37], [3e-42, 4e-42], [0.0, 0.0]])
    expected = torch.tensor([[0.6, 0.8]] * 3 + [[0.0, 0.0]])
    torch.testing.assert_close(on_sphere(z), expected, rtol=1e-3, atol=0)
    torch.autograd.gradcheck(on_sphere, torch.randn(5, 3, dtype=torch.float64, requires_grad=True))
