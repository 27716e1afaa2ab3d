import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import ResidualQuantizer, kmeans


def test_stages_quantize_what_is_left():
    quantizer = ResidualQuantizer(2, 1, stages=2)
    quantizer.codebooks[0].load(torch.tensor([[0.0], [10.0]]))
    quantizer.codebooks[1].load(torch.tensor([[-1.0], [1.0]]))
    z = torch.tensor([[2.0], [8.0]])
    assert quantizer.encode(z).tolist() == [[0, 1], [1, 0]]
    assert quantizer.reconstruct(z).flatten().tolist() == [1, 9]


def test_weights_decode_with_the_stacked_codebooks():
    quantizer = ResidualQuantizer(8, 3, stages=3)
    result = quantizer(torch.randn(20, 3))
    stacked = torch.cat([codebook.vectors for codebook in quantizer.codebooks])
    torch.testing.assert_close(result.weights.decode(stacked), result.quantized)


def test_each_stage_lowers_the_distortion():
    torch.manual_seed(0)
    z = torch.randn(500, 3)
    errors = []
    for stages in (1, 2, 4):
        quantizer = ResidualQuantizer(8, 3, stages=stages)
        quantizer.initialize(z, kmeans)
        errors.append((z - quantizer.reconstruct(z)).square().mean().item())
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.5 * errors[1]


def test_the_gradient_passes_once_and_the_commitment_sees_every_stage():
    quantizer = ResidualQuantizer(8, 3, stages=3, commitment_weight=1.0)
    z, g = torch.randn(20, 3, requires_grad=True), torch.randn(20, 3)
    result = quantizer(z)
    (grad,) = torch.autograd.grad(result.quantized, z, g, retain_graph=True)
    assert torch.equal(grad, g)
    residuals, left = [], z.detach()
    for stage, indices in enumerate(result.indices.unbind(-1)):
        left = left - quantizer.codebooks[stage].vectors[indices].detach()
        residuals.append(left)
    (commitment,) = torch.autograd.grad(result.losses["commitment_loss"], z)
    torch.testing.assert_close(commitment, 2 * sum(residuals) / z.numel())


def test_wrong_arguments_are_typed_errors():
    with pytest.raises(InvalidInputError, match="`stages` must be a whole number"):
        ResidualQuantizer(8, 3, stages=0)
    with pytest.raises(InvalidInputError, match=r"\(\.\.\., 4\)"):
        ResidualQuantizer(8, 3).decode(torch.zeros(5, 5, dtype=torch.int64))
