import torch

from barycode.quantizers import AffineVectorQuantizer, VectorQuantizer


def shifted(rate=1.0):
    torch.manual_seed(0)
    quantizer = AffineVectorQuantizer(8, 3, rate=rate)
    with torch.no_grad():
        quantizer.scale.copy_(torch.tensor([0.5, -0.5, 0.0]))
        quantizer.offset.copy_(torch.tensor([1.0, 2.0, 3.0]))
    return quantizer


def test_it_is_vector_quantization_over_the_mapped_codebook():
    quantizer = shifted(rate=0.5)
    plain = VectorQuantizer(8, 3)
    expected = quantizer.codebook.vectors.detach() * torch.tensor([1.25, 0.75, 1.0])
    plain.codebook.load(expected + torch.tensor([0.5, 1.0, 1.5]))
    z = torch.randn(40, 3)
    torch.testing.assert_close(quantizer(z).quantized, plain(z).quantized)
    torch.testing.assert_close(quantizer(z).loss, plain(z).loss)


def test_a_gradient_moves_code_vectors_that_nothing_chose():
    quantizer = shifted()
    z = torch.randn(1, 3).expand(20, 3) + 4
    before = quantizer.vectors().detach()
    chosen = quantizer.encode(z).unique()
    optimizer = torch.optim.SGD(quantizer.parameters(), 0.1)
    quantizer(z).loss.backward()
    optimizer.step()
    moved = (quantizer.vectors() - before).detach().abs().amax(1) > 1e-4
    assert len(chosen) == 1
    assert moved.all()


def test_initialisation_is_undone_by_the_map():
    quantizer = shifted()
    z = torch.randn(8, 3)
    quantizer.initialize(z, lambda vectors, size: vectors[:size])
    torch.testing.assert_close(quantizer.vectors().detach(), z)
