import json

import pytest
from PIL import Image

from barycode.evaluation.bd_rate import BDRate
from barycode.evaluation.rate_distortion import Row
from barycode.evaluation.report import Comparison, bd_cell, markdown, slug, write_report


def test_report_files(comparison, tmp_path):
    target = write_report(comparison, tmp_path / "report")
    text = target.read_text()
    assert "| JPEG | -62.5 % (2) | -62.5 % (2) | -62.5 % (2) |" in text
    assert "- **Ours**: how Ours was run." in text
    for name in ("psnr.png", "ms-ssim.png", "ssimulacra2.png", "bd-rate-ours.png"):
        assert name in text
        with Image.open(target.parent / name) as plot:
            assert plot.width > 300
    data = json.loads((target.parent / "report.json").read_text())
    assert data["pictures"] == 2
    assert data["bd_rate"]["Ours"]["PSNR"]["JPEG"]["mean"] == pytest.approx(-62.5, abs=0.1)


def test_report_is_strict_json_without_overlap(codec, curve, tmp_path):
    rows = [*curve("Ours", "x", 1), Row("JPEG", "x", 1, 10, 80, 0.001, None, 0, 0)]
    write_report(Comparison("No overlap", rows, [codec("Ours")], [codec("JPEG")]), tmp_path)
    data = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert data["bd_rate"]["Ours"]["PSNR"]["JPEG"]["mean"] is None


def test_report_is_the_same_twice(comparison):
    assert markdown(comparison) == markdown(comparison)


def test_bd_cells():
    assert bd_cell(BDRate(-12.34, {"x": -12.34}, ())) == "-12.3 % (1)"
    assert bd_cell(BDRate(3.0, {"x": 3.0}, ("y", "z"))) == "+3.0 % (1, 2 left out)"
    assert bd_cell(BDRate(float("nan"), {}, ("y",))) == "-"


def test_slug():
    assert slug("Barycode (MS-SSIM)") == "barycode-ms-ssim"
