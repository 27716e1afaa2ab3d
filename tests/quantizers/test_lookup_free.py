import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import BinarySphericalQuantizer, LookupFreeQuantizer


@pytest.mark.parametrize("kind", [LookupFreeQuantizer, BinarySphericalQuantizer])
def test_the_indices_are_the_corners_in_binary(kind):
    quantizer = kind(8, 3)
    corners = quantizer.decode(torch.arange(8))
    assert torch.equal(corners[1].sign(), torch.tensor([-1.0, -1.0, 1.0]))
    assert len(corners.unique(dim=0)) == 8
    assert torch.equal(quantizer.encode(5 * corners), torch.arange(8))
    torch.testing.assert_close(corners.norm(dim=1), torch.full((8,), (3 * quantizer.scale**2) ** 0.5))


def test_sixty_two_signs_fit_an_index():
    quantizer = LookupFreeQuantizer(2**62, 62)
    z = torch.randn(20, 62)
    assert torch.equal(quantizer.reconstruct(z), z.sign())


@pytest.mark.parametrize("kind", [LookupFreeQuantizer, BinarySphericalQuantizer])
def test_entropies_are_those_of_the_softmax_over_all_corners(kind):
    quantizer = kind(32, 5, inverse_temperature=0.7)
    z = torch.randn(40, 5, dtype=torch.float64)
    points, corners = quantizer.bounded(z), quantizer.decode(torch.arange(32)).double()
    p = torch.softmax(-0.7 * torch.cdist(points, corners).square(), -1)
    losses = quantizer(z).losses
    torch.testing.assert_close(losses["vector_entropy"], torch.special.entr(p).sum(1).mean())
    joint = torch.special.entr(p.mean(0)).sum()
    marginals = torch.stack([p[:, corners[:, i] > 0].sum(1).mean() for i in range(5)])
    bound = (torch.special.entr(marginals) + torch.special.entr(1 - marginals)).sum()
    torch.testing.assert_close(losses["batch_entropy"], bound)
    assert joint <= losses["batch_entropy"]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(LookupFreeQuantizer, {}), (BinarySphericalQuantizer, {"spherical": True})],
)
def test_it_agrees_with_vector_quantize_pytorch(kind, settings):
    peers = pytest.importorskip("vector_quantize_pytorch")
    peer = peers.LFQ(dim=5, codebook_size=32, commitment_loss_weight=0.25, **settings).train()
    quantizer = kind(32, 5, inverse_temperature=0.7)
    z = torch.randn(1, 300, 5, requires_grad=True)
    ours = quantizer(z)
    theirs, parts = peer(z, inv_temperature=0.7, return_loss_breakdown=True)
    assert torch.equal(ours.indices, theirs.indices)
    torch.testing.assert_close(ours.quantized, theirs.quantized)
    torch.testing.assert_close(ours.losses["vector_entropy"], parts.per_sample_entropy, rtol=1e-3, atol=0)
    torch.testing.assert_close(ours.losses["commitment_loss"], parts.commitment)
    assert parts.batch_entropy <= ours.losses["batch_entropy"] + 1e-4


def test_saturated_entropies_have_finite_gradients():
    quantizer = LookupFreeQuantizer(16, 4)
    z = (100 * torch.randn(1, 4).expand(20, 4)).clone().requires_grad_()
    quantizer(z).loss.backward()
    assert z.grad.isfinite().all()


def test_binary_spherical_errors_are_bounded():
    quantizer = BinarySphericalQuantizer(2**9, 9)
    z = torch.randn(1000, 9)
    errors = (quantizer.bounded(z) - quantizer.reconstruct(z)).square().sum(1)
    assert errors.max() <= 2 - 2 / 3 + 1e-5


def test_another_size_is_a_typed_error():
    with pytest.raises(InvalidInputError, match="4 signs make a codebook of 16, not of 15"):
        LookupFreeQuantizer(15, 4)
