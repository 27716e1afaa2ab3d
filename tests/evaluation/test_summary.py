import pytest

from barycode.evaluation.rate_distortion import Row
from barycode.evaluation.summary import bd_rates, means


def test_means_by_codec_and_setting(comparison):
    first = means(comparison.rows)[0]
    assert (first.codec, first.setting, first.pictures) == ("Ours", 1, 2)
    assert first.bpp == pytest.approx(0.1, rel=1e-3)
    assert first.psnr == pytest.approx(28)
    jpeg = [mean for mean in means(comparison.rows) if mean.codec == "JPEG"]
    assert jpeg[0].bpp == pytest.approx(0.3, rel=1e-3)


def test_means_with_a_small_and_an_identical_picture():
    rows = [Row("a", "x", 1, 10, 80, 0.0, None, 0, 0), Row("a", "y", 1, 10, 80, 2.0, 0.9, 0, 0)]
    (mean,) = means(rows)
    assert mean.ms_ssim is None
    assert mean.ms_ssim_db is None
    assert mean.psnr == pytest.approx(48.13, abs=0.01), "the PSNR of the mean squared error, 1.0"


def test_bd_rates_by_measure_and_anchor(comparison):
    figures = bd_rates(comparison.rows, "Ours", ["JPEG"])
    assert list(figures) == ["PSNR", "MS-SSIM", "SSIMULACRA2"]
    for results in figures.values():
        assert results["JPEG"].per_picture == pytest.approx({"x": -50, "y": -75}, abs=0.1)
