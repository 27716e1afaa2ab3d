import math

import bjontegaard
import numpy as np
import pytest

from barycode.errors import InvalidInputError
from barycode.evaluation.bd_rate import Curve, Window, bd_rate, bd_rate_of_curves
from barycode.evaluation.rate_distortion import Row

EVERYTHING = Window(low=1e-9, high=1e9, overlap=0.0)


def curve(rates, qualities) -> Curve:
    return Curve.of(zip(rates, qualities, strict=True))


def row(codec: str, picture: str, bpp: float, psnr: float, ms_ssim: float | None = 0.9) -> Row:
    return Row(codec, picture, 0, round(bpp * 125_000), 1_000_000, 255**2 / 10 ** (psnr / 10), ms_ssim, 0, 0)


def test_the_same_curve_costs_nothing_more():
    points = curve([0.1, 0.2, 0.4, 0.8], [28, 31, 34, 37])
    assert bd_rate_of_curves(points, points, EVERYTHING) == pytest.approx(0)


def test_half_the_rate_everywhere_is_minus_50_per_cent():
    anchor = curve([0.1, 0.2, 0.4, 0.8], [28, 31, 34, 37])
    ours = curve([0.05, 0.1, 0.2, 0.4], [28, 31, 34, 37])
    assert bd_rate_of_curves(anchor, ours, EVERYTHING) == pytest.approx(-50)


def test_hand_computed_lines():
    """The anchor doubles every 3 dB from 0.1 bpp at 28 dB; ours every 6 dB from the same point.

    On 28..34 the mean log2 difference is -1/2, so the figure is 100 (2^-0.5 - 1) = -29.289 %.
    """
    anchor = curve([0.1, 0.2, 0.4, 0.8], [28, 31, 34, 37])
    ours = curve([0.1, 0.1 * 2**0.5, 0.2], [28, 31, 34])
    assert bd_rate_of_curves(anchor, ours, EVERYTHING) == pytest.approx(-29.2893, abs=1e-3)


def test_the_window_is_cut_where_ours_costs_its_ends():
    """Same lines, ours from 0.1 to 0.1 sqrt 2: qualities 28..31, mean log2 difference -1/4."""
    anchor = curve([0.1, 0.2, 0.4, 0.8], [28, 31, 34, 37])
    ours = curve([0.1, 0.1 * 2**0.5, 0.2], [28, 31, 34])
    window = Window(low=0.1, high=0.1 * 2**0.5)
    assert bd_rate_of_curves(anchor, ours, window) == pytest.approx(100 * (2**-0.25 - 1), abs=1e-2)


def test_agrees_with_the_package_where_no_window_cuts():
    generator = np.random.default_rng(3)
    for _ in range(20):
        anchor = np.cumsum(generator.uniform(0.05, 0.4, 6)), 25 + np.cumsum(generator.uniform(0.5, 3, 6))
        ours = np.cumsum(generator.uniform(0.05, 0.4, 5)), 26 + np.cumsum(generator.uniform(0.5, 3, 5))
        expected = bjontegaard.bd_rate(*anchor, *ours, "pchip", require_matching_points=False, min_overlap=0)
        assert bd_rate_of_curves(curve(*anchor), curve(*ours), EVERYTHING) == pytest.approx(
            expected, rel=1e-3
        )


def test_curves_keep_only_points_worth_having():
    kept = curve([0.4, 0.1, 0.2, 0.3, 0.5], [33, 28, 31, 30.5, math.inf])
    assert kept.quality.tolist() == [28, 31, 33]
    assert kept.log_rate == pytest.approx(np.log10([0.1, 0.2, 0.4]))


def test_two_points_are_no_curve():
    assert math.isnan(
        bd_rate_of_curves(curve([0.1, 0.2], [28, 30]), curve([0.1, 0.2, 0.4], [28, 30, 32]), EVERYTHING)
    )
    assert math.isnan(bd_rate_of_curves(curve([], []), curve([0.1, 0.2, 0.4], [28, 30, 32]), EVERYTHING))


def test_mean_is_of_pictures_and_names_those_left_out():
    """Two pictures of -50 % and -75 %, and one whose anchor starts above all that ours reaches."""
    rates, qualities = (0.1, 0.2, 0.4, 0.8), (28, 31, 34, 37)
    anchor, ours = [], []
    for picture, factor, shift in [("a", 0.5, 0), ("b", 0.25, 0), ("far", 0.5, 20)]:
        anchor += [row("JPEG", picture, r / factor, q + shift) for r, q in zip(rates, qualities, strict=True)]
        ours += [row("ours", picture, r, q) for r, q in zip(rates, qualities, strict=True)]
    result = bd_rate(anchor, ours)
    assert result.per_picture == pytest.approx({"a": -50, "b": -75}, abs=0.01)
    assert result.mean == pytest.approx(-62.5, abs=0.01)
    assert result.median == pytest.approx(-62.5, abs=0.01)
    assert result.pictures == 2
    assert result.too_little_overlap == ("far",)


def test_ms_ssim_is_compared_in_decibel_and_may_be_missing():
    similarity = [0.9, 0.95, 0.98, 0.99]
    anchor = [row("JPEG", "a", r, 30, s) for r, s in zip((0.2, 0.4, 0.8, 1.6), similarity, strict=True)]
    ours = [row("ours", "a", r, 30, s) for r, s in zip((0.1, 0.2, 0.4, 0.8), similarity, strict=True)]
    assert bd_rate(anchor, ours, "ms_ssim_db").mean == pytest.approx(-50, abs=0.01)
    assert math.isnan(bd_rate(anchor, ours, "psnr").mean), "flat curves have no BD-rate"
    small = [row("ours", "a", r, 30, None) for r in (0.1, 0.2, 0.4)]
    assert bd_rate(small, small, "ms_ssim_db").too_little_overlap == ("a",)


def test_both_sides_need_the_same_pictures():
    with pytest.raises(InvalidInputError, match="only one side has b"):
        bd_rate([row("JPEG", "a", 0.1, 30)], [row("ours", "a", 0.1, 30), row("ours", "b", 0.1, 30)])
