import numpy as np
import pytest
import torch

from barycode.images.transform import Analysis, Synthesis, colour_matrix, lapped_bases, mirror_samples


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 8), (40, 72)])
def test_synthesis_inverts_analysis_up_to_the_border(height, width):
    pixels = torch.rand(2, 3, height, width) * 255
    back = Synthesis()(Analysis()(mirror_samples(pixels)))
    assert (back - pixels).abs().max() < 2e-3


def test_coding_gain_is_the_published_one():
    # Tran, Liang, Tu 2003: 9.55 dB for AR(0.95); biorthogonal, so noise is weighted by the synthesis norms.
    analysis, synthesis = lapped_bases()
    covariance = 0.95 ** np.abs(np.subtract.outer(np.arange(16), np.arange(16)))
    variances = np.diag(analysis @ covariance @ analysis.T)
    gain = -10 * np.log10(np.prod(variances * (synthesis**2).sum(0)) ** (1 / 8))
    assert gain == pytest.approx(9.55, abs=0.02)


def test_colour_errors_add_up_to_the_rgb_error():
    error = np.random.default_rng(0).normal(size=(1000, 3))
    rgb = error @ np.linalg.inv(colour_matrix()).T
    assert (error**2).sum() == pytest.approx((rgb**2).mean(1).sum(), rel=0.1)


def test_coefficients_are_those_of_the_definition():
    # Independent of the folding: correlate with the 16 x 16 basis function of luma (1, 2) by hand.
    basis, _ = lapped_bases()
    pixels = torch.rand(1, 3, 32, 32, dtype=torch.float64) * 255
    padded = np.pad(pixels[0].numpy() - 128, ((0, 0), (4, 4), (4, 4)), mode="symmetric")
    window = padded[:, 8:24, 16:32]  # block (1, 2)
    expected = np.einsum("k,kyx,y,x", colour_matrix()[0], window, basis[1], basis[2])
    found = Analysis()(mirror_samples(pixels.float()))[0, 10, 1, 2]
    assert found.item() == pytest.approx(expected, abs=1e-2)


def test_mirror_samples_repeats_the_edge():
    row = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 1, 8, 8)
    assert mirror_samples(row, 2)[0, 0, 0].tolist() == [1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 6]
