import numpy as np
import pytest
import torch

from barycode.experiments.autoencoder_metrics import measure
from barycode.quantizers import ProductQuantizer, RelaxedProgram, SoftConvexQuantizer, VectorQuantizer
from barycode.training.autoencoders.network import Autoencoder
from barycode.training.autoencoders.pictures import to_tensor


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (130, 8, 8, 3), dtype=np.uint8)


def model_with(quantizer):
    torch.manual_seed(0)
    return Autoencoder(quantizer, 4, hidden=16, residual=4).eval()


def test_errors_by_their_definitions(images):
    model = model_with(VectorQuantizer(8, 4))
    row = measure(model, images, variance=0.5)
    with torch.no_grad():
        output = model(to_tensor(images))
    error = (output.pictures - to_tensor(images)).square().mean().item()
    assert row["mse"] == pytest.approx(error, rel=1e-4)
    assert row["mse_over_variance"] == pytest.approx(2 * error, rel=1e-4)
    assert row["mse_from_bytes"] == pytest.approx(error, rel=1e-4)
    lost = (output.quantized.quantized - output.latents).square().mean()
    assert row["quantization_error"] == pytest.approx(lost.item(), rel=1e-4)
    relative = (lost / output.latents.var()).item()
    assert row["quantization_error_over_variance"] == pytest.approx(relative, rel=1e-2)


def test_health_is_over_the_whole_set(images):
    model = model_with(VectorQuantizer(8, 4))
    row = measure(model, images, variance=1.0)
    counts = torch.bincount(model.encode(to_tensor(images)).flatten(), minlength=8).double()
    p = counts / counts.sum()
    assert row["perplexity"] == pytest.approx(torch.exp(torch.special.entr(p).sum()).item(), rel=1e-5)
    assert row["perplexity_of_weights"] == row["perplexity"]
    assert row["usage"] == pytest.approx((counts > 0).double().mean().item())
    assert row["support"] == 1


def test_parts_are_averaged(images):
    row = measure(model_with(ProductQuantizer(4, 4, groups=2)), images, variance=1.0)
    assert 1 <= row["perplexity"] <= 4
    assert row["support"] == 1
    assert row["bits_a_vector"] == pytest.approx(8 * row["bytes"] / (130 * 4), rel=1e-5)


def test_continuous_weights_have_no_bytes(images):
    quantizer = SoftConvexQuantizer(16, 4, program=RelaxedProgram(0.01), code=None)
    row = measure(model_with(quantizer), images, variance=1.0)
    assert row["continuous"]
    assert row["bytes"] is row["bits_a_vector"] is row["mse_from_bytes"] is None
    assert 1 <= row["perplexity_of_weights"] <= 16


def test_without_a_quantizer_only_the_pictures_count(images):
    row = measure(model_with(None), images, variance=1.0)
    assert set(row) == {"mse", "mse_over_variance", "parameters"}
