import json

import pytest
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.evaluation.bd_rate import BDRate
from barycode.evaluation.rate_distortion import Codec, Row
from barycode.evaluation.report import Comparison, bd_cell, markdown, slug, write_report
from barycode.evaluation.side_by_side import FONT_SIZE, MARGIN, Crop, Panel, side_by_side
from barycode.evaluation.summary import bd_rates, means


def codec(name: str) -> Codec:
    return Codec(
        name,
        f"how {name} was run",
        (1, 2, 3, 4),
        lambda image, setting: b"",
        lambda data: Image.new("RGB", (1, 1)),
    )


def curve(name: str, picture: str, factor: float) -> list[Row]:
    points = zip((1, 2, 3, 4), (0.1, 0.2, 0.4, 0.8), (28, 31, 34, 37), (0.9, 0.95, 0.98, 0.99), strict=True)
    return [
        Row(name, picture, s, round(r * factor * 125_000), 1_000_000, 255**2 / 10 ** (q / 10), m, 0.2, 0.1)
        for s, r, q, m in points
    ]


@pytest.fixture
def comparison() -> Comparison:
    rows = [
        row for p, factor in (("x", 2), ("y", 4)) for row in curve("Ours", p, 1) + curve("JPEG", p, factor)
    ]
    return Comparison("Two pictures", rows, [codec("Ours")], [codec("JPEG")])


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
    assert list(figures) == ["PSNR", "MS-SSIM"]
    for results in figures.values():
        assert results["JPEG"].per_picture == pytest.approx({"x": -50, "y": -75}, abs=0.1)


def test_report_files(comparison, tmp_path):
    target = write_report(comparison, tmp_path / "report")
    text = target.read_text()
    assert "| JPEG | -62.5 % (2) | -62.5 % (2) |" in text
    assert "- **Ours**: how Ours was run." in text
    for name in ("psnr.png", "ms-ssim.png", "bd-rate-ours.png"):
        assert name in text
        with Image.open(target.parent / name) as plot:
            assert plot.width > 300
    data = json.loads((target.parent / "report.json").read_text())
    assert data["pictures"] == 2
    assert data["bd_rate"]["Ours"]["PSNR"]["JPEG"]["mean"] == pytest.approx(-62.5, abs=0.1)


def test_report_is_strict_json_without_overlap(tmp_path):
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


def test_a_crop_is_enlarged_without_smoothing():
    image = Image.new("RGB", (4, 4))
    image.putpixel((2, 1), (255, 0, 0))
    crop = Crop(left=2, top=1, width=2, height=1, zoom=3).of(image)
    assert crop.size == (6, 3)
    assert {crop.getpixel((x, y)) for x in range(3) for y in range(3)} == {(255, 0, 0)}
    assert crop.getpixel((3, 0)) == (0, 0, 0)


def test_a_crop_outside_is_an_error():
    with pytest.raises(InvalidInputError, match="inside a picture of 4x4"):
        Crop(left=3, top=0, width=2, height=1).of(Image.new("RGB", (4, 4)))


def test_side_by_side_places_panels_in_a_grid():
    red, blue = (Panel(Image.new("RGB", (20, 10), colour), colour) for colour in ("red", "blue"))
    sheet = side_by_side([[red, blue], [blue]])
    assert sheet.size == (2 * (20 + MARGIN) + MARGIN, 2 * (10 + FONT_SIZE + 2 * MARGIN) + MARGIN)
    assert sheet.getpixel((MARGIN, MARGIN)) == (255, 0, 0)
    assert sheet.getpixel((2 * MARGIN + 20, MARGIN)) == (0, 0, 255)
    with pytest.raises(InvalidInputError, match="at least one panel"):
        side_by_side([[red], []])
