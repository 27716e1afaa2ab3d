from functools import partial

import pytest
import torch
from torch.nn import functional
from vector_quantize_pytorch import ResidualLFQ

from barycode.quantizers import (
    BinarySphericalQuantizer,
    LookupFreeQuantizer,
    ResidualBinarySphericalQuantizer,
)


@pytest.mark.parametrize("stages", [1, 2, 4])
def test_the_same_points_and_indices_as_the_peer_on_the_sphere(stages: int):
    theirs = ResidualLFQ(dim=4, codebook_size=16, num_quantizers=stages, spherical=True).eval()
    ours = ResidualBinarySphericalQuantizer(16, 4, stages=stages).eval()
    z = 3 * torch.randn(2, 50, 4)
    points, indices, _ = theirs(functional.normalize(z, dim=-1))
    found = ours(z)
    torch.testing.assert_close(found.quantized, points)
    assert torch.equal(found.indices, indices)


def test_one_stage_is_binary_spherical_quantization_losses_and_gradient_too():
    weights = {"inverse_temperature": 3.0, "entropy_weight": 0.2, "commitment_weight": 0.7}
    whole = BinarySphericalQuantizer(32, 5, **weights)
    staged = ResidualBinarySphericalQuantizer(
        32, 5, stages=1, quantizer=partial(LookupFreeQuantizer, **weights)
    )
    z, g = torch.randn(40, 5), torch.randn(40, 5)
    gradients = []
    for quantizer in (whole, staged):
        x = z.clone().requires_grad_()
        quantized, indices, loss = quantizer(x)
        ((quantized * g).sum() + loss).backward()
        gradients.append((quantized, indices.reshape(-1), loss, x.grad))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_every_stage_halves_the_bound_of_the_error():
    """Within the cells |u_i| < 2 / sqrt(d), which all of this circle is in."""
    angles = torch.linspace(0, 2 * torch.pi, 500)
    z = 5 * torch.stack([angles.cos(), angles.sin()], -1)
    quantizer = ResidualBinarySphericalQuantizer(4, 2, stages=6)
    for stages in range(1, 7):
        decoded = quantizer.decode(quantizer.encode(z, stages=stages))
        assert (decoded - z / 5).abs().max() <= 2**-0.5 * 2.0 ** (1 - stages) + 1e-6


def test_the_length_of_a_latent_is_lost():
    z = torch.randn(30, 4)
    quantizer = ResidualBinarySphericalQuantizer(16, 4, stages=3)
    assert torch.equal(quantizer.encode(z), quantizer.encode(100 * z))
