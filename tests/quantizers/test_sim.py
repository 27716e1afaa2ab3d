import pytest
import torch

from barycode.quantizers import SimVectorQuantizer, VectorQuantizer, kmeans, rotation_trick


def test_it_is_vector_quantization_over_the_mapped_basis():
    quantizer, plain = SimVectorQuantizer(8, 3), VectorQuantizer(8, 3)
    with torch.no_grad():
        quantizer.weight.copy_(torch.randn(3, 3))
    plain.codebook.load(quantizer.codebook.vectors @ quantizer.weight)
    z = torch.randn(40, 3)
    torch.testing.assert_close(quantizer(z).quantized, plain(z).quantized)
    torch.testing.assert_close(quantizer(z).loss, plain(z).loss)


def test_the_basis_never_moves_and_one_gradient_moves_every_code_vector():
    quantizer = SimVectorQuantizer(8, 3).requires_grad_(True)
    basis, before = quantizer.codebook.vectors.detach().clone(), quantizer.vectors().detach()
    optimizer = torch.optim.AdamW(quantizer.parameters(), 0.1)
    z = torch.randn(1, 3).expand(20, 3) + 4
    assert len(quantizer.encode(z).unique()) == 1
    quantizer(z).loss.backward()
    optimizer.step()
    assert torch.equal(quantizer.codebook.vectors, basis)
    assert ((quantizer.vectors() - before).abs().amax(1) > 1e-4).all()


def test_it_starts_with_the_second_moments_of_the_latents():
    quantizer = SimVectorQuantizer(64, 5)
    z = torch.randn(2000, 5) @ torch.randn(5, 5)
    quantizer.initialize(z, kmeans)
    codes = quantizer.vectors().detach()
    torch.testing.assert_close(codes.T @ codes / 64, z.T @ z / 2000, rtol=1e-3, atol=1e-3)


def test_it_agrees_with_vector_quantize_pytorch():
    peers = pytest.importorskip("vector_quantize_pytorch")
    peer = peers.SimVQ(dim=6, codebook_size=32, rotation_trick=True)
    quantizer = SimVectorQuantizer(32, 6, estimator=rotation_trick)
    with torch.no_grad():
        quantizer.codebook.vectors.copy_(peer.frozen_codebook)
        quantizer.weight.copy_(peer.code_transform.weight.T)
    z = torch.randn(2, 50, 6, requires_grad=True)
    ours, theirs = quantizer(z), peer(z)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    gradients = [
        torch.autograd.grad((q * torch.arange(6)).sum() + loss, z)[0] for q, _, loss in (ours, theirs)
    ]
    torch.testing.assert_close(*gradients)
