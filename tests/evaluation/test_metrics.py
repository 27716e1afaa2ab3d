import math

import numpy as np
import pytest
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.evaluation import metrics


def waves(height: int, width: int) -> np.ndarray:
    """A picture made of integer arithmetic alone, the same on every machine."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(x * y // 7 + 3 * x) % 256, (x * x // 50 + y) % 256, (5 * y + x) % 256], -1).astype(
        np.uint8
    )


def damaged(pixels: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    noise = ((x * 31 + y * 17) % 21 - 10)[..., None]
    return np.clip(pixels.astype(int) + noise, 0, 255).astype(np.uint8)


def test_psnr_of_a_known_error():
    black, grey = np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 5, np.uint8)
    assert metrics.mse(black, grey) == 25
    assert metrics.psnr(black, grey) == pytest.approx(10 * math.log10(255**2 / 25))
    assert metrics.psnr(grey, black) == metrics.psnr(black, grey), "no uint8 wrap-around"


def test_psnr_of_identical_pictures_is_infinite():
    assert metrics.psnr(waves(8, 8), waves(8, 8)) == math.inf


def test_metrics_accept_pillow_pictures():
    pixels = waves(170, 180)
    image = Image.fromarray(damaged(pixels))
    assert metrics.psnr(Image.fromarray(pixels), image) == metrics.psnr(pixels, damaged(pixels))
    assert metrics.ms_ssim(Image.fromarray(pixels), image) == metrics.ms_ssim(pixels, damaged(pixels))


def gaussian_blur(plane: np.ndarray) -> np.ndarray:
    """Valid separable 11-tap Gaussian filter by plain sums: the oracle's own arithmetic."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()
    rows = sum(t * plane[i : plane.shape[0] - 10 + i] for i, t in enumerate(taps))
    return sum(t * rows[:, i : rows.shape[1] - 10 + i] for i, t in enumerate(taps))


def ms_ssim_of_plane(x: np.ndarray, y: np.ndarray) -> float:
    """MS-SSIM as in Wang, Simoncelli, Bovik (2003), equations 6 and 7, for even sizes at every scale."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        mx, my = gaussian_blur(x), gaussian_blur(y)
        vx, vy = gaussian_blur(x * x) - mx**2, gaussian_blur(y * y) - my**2
        structure = (2 * (gaussian_blur(x * y) - mx * my) + c2) / (vx + vy + c2)
        luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        value *= np.mean(structure * luminance if scale == 4 else structure) ** weight
        x, y = (
            p.reshape(p.shape[0] // 2, 2, p.shape[1] // 2, 2).mean((1, 3)) if scale < 4 else p for p in (x, y)
        )
    return float(value)


def test_ms_ssim_matches_the_paper_computed_by_hand():
    x, y = waves(192, 208), damaged(waves(192, 208))
    planes = [ms_ssim_of_plane(x[..., c].astype(float), y[..., c].astype(float)) for c in range(3)]
    assert metrics.ms_ssim(x, y) == pytest.approx(np.mean(planes), abs=2e-6)


def test_ms_ssim_reference_values():
    x = waves(192, 208)
    assert metrics.ms_ssim(x, x) == pytest.approx(1.0, abs=1e-6)
    assert metrics.ms_ssim(x, damaged(x)) == pytest.approx(0.992798, abs=5e-6)
    assert metrics.ms_ssim(x[..., 0], damaged(x)[..., 0]) == pytest.approx(0.999134, abs=5e-6)


def test_ms_ssim_db_scale():
    assert metrics.ms_ssim_db(0.99) == pytest.approx(20)
    assert metrics.ms_ssim_db(1.0) == math.inf


@pytest.mark.parametrize("shape", [(160, 400), (400, 160), (1, 1)])
def test_ms_ssim_says_why_a_small_picture_has_none(shape):
    small = np.zeros((*shape, 3), np.uint8)
    with pytest.raises(InvalidInputError, match=f"at least 161 pixels.*{shape[1]}x{shape[0]}"):
        metrics.ms_ssim(small, small)


def test_ms_ssim_takes_the_smallest_picture_it_promises():
    assert metrics.ms_ssim(waves(161, 161), damaged(waves(161, 161))) < 1


def test_bpp_counts_every_byte():
    assert metrics.bpp(49152, 768 * 512) == 1.0
    with pytest.raises(InvalidInputError, match="positive number of pixels"):
        metrics.bpp(10, 0)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8), "same shape"),
        (np.zeros((2, 2, 3), np.float32), np.zeros((2, 2, 3), np.float32), "uint8"),
        (np.zeros((0, 2, 3), np.uint8), np.zeros((0, 2, 3), np.uint8), "uint8"),
        (np.zeros(4, np.uint8), np.zeros(4, np.uint8), "uint8"),
    ],
)
def test_metrics_refuse_what_is_not_a_pair_of_pictures(x, y, message):
    with pytest.raises(InvalidInputError, match=message):
        metrics.psnr(x, y)
