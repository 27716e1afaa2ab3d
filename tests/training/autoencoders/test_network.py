import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import ResidualQuantizer, VectorQuantizer
from barycode.training.autoencoders.network import Autoencoder
from barycode.training.autoencoders.start import SPREAD, standardise


def test_it_has_the_size_of_the_standard_network():
    model = Autoencoder(None)
    assert sum(p.numel() for p in model.parameters()) == 662_083
    assert model(torch.rand(2, 3, 32, 32)).latents.shape == (2, 64, 8, 8)


def test_untrained_and_unquantized_it_returns_its_input():
    pictures = torch.rand(2, 3, 16, 24)
    output = Autoencoder(None)(pictures)
    torch.testing.assert_close(output.pictures, pictures, atol=1e-5, rtol=0)
    # the transform is orthonormal: latents have the energy of the pictures, in the lowest 48 channels
    energy = output.latents[:, :48].square().sum()
    torch.testing.assert_close(energy, (pictures - 0.5).square().sum(), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("dim", "halvings"), [(3, 2), (64, 3)])
def test_with_few_channels_it_starts_as_the_projection_on_low_frequencies(dim, halvings):
    model = Autoencoder(None, dim, halvings=halvings)
    pictures = torch.rand(2, 3, 16, 16)
    once = model(pictures).pictures
    torch.testing.assert_close(model(once).pictures, once, atol=1e-5, rtol=0)
    assert 0 < (once - pictures).square().mean() < (pictures - 0.5).square().mean()
    flat = torch.full((1, 3, 16, 16), 0.7)
    torch.testing.assert_close(model(flat).pictures, flat, atol=1e-5, rtol=0)


@pytest.mark.parametrize("quantizer", [VectorQuantizer(8, 5), ResidualQuantizer(8, 5, stages=2)])
def test_decoded_codes_are_the_output_of_evaluation(quantizer):
    model = Autoencoder(quantizer, hidden=16, residual=4).eval()
    pictures = torch.rand(2, 3, 8, 12)
    output = model(pictures)
    assert output.pictures.shape == pictures.shape
    torch.testing.assert_close(model.decode(model.encode(pictures)), output.pictures)


@pytest.mark.parametrize("shape", [(2, 3, 9, 8), (2, 1, 8, 8), (3, 8, 8)])
def test_pictures_that_do_not_fit_are_a_typed_error(shape):
    with pytest.raises(InvalidInputError, match="multiples of 4"):
        Autoencoder(None)(torch.rand(shape))


def test_a_random_start_is_brought_to_the_spread_of_the_transform():
    model = Autoencoder(None, 5, hidden=16, residual=4, transform=False)
    pictures = torch.rand(6, 3, 16, 16)
    assert (model(pictures).pictures - pictures).square().mean() > 0.01
    standardise(model.encoder, pictures - 0.5)
    channels = model.latents(pictures).transpose(0, 1).flatten(1)
    torch.testing.assert_close(channels.mean(1), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(channels.std(1), torch.full((5,), SPREAD))


def test_without_a_quantizer_there_are_no_codes():
    with pytest.raises(InvalidInputError, match="no codes"):
        Autoencoder(None).encode(torch.rand(1, 3, 8, 8))
