import numpy as np
import pytest

from barycode.errors import InvalidInputError
from barycode.images import compress, decompress
from barycode.images.targets import BitsPerPixel, Likeness, Psnr, Size, meet
from scenes import scene

PICTURE = (scene(120, 160)[::2, ::2].repeat(2, 0).repeat(2, 1) // 2 + scene(120, 160, 1) // 2).astype(
    np.uint8
)


def fake(index: int) -> bytes:
    """A codec whose files halve every octave."""
    return bytes(round(4000 * 2 ** (-index / 18)))


@pytest.mark.parametrize("size", [500, 1234, 4000, 9000])
def test_a_size_is_filled_and_never_exceeded_in_few_encodings(size):
    asked = []

    def encode(index):
        asked.append(index)
        return fake(index)

    data = meet(Size(size), encode, PICTURE, lambda data: PICTURE).data
    assert 0.955 * size <= len(data) <= size
    assert len(asked) <= 5


def test_effort_meets_the_same_target():
    data = compress(PICTURE, quality=Size(600), effort=1)
    assert 0.955 * 600 <= len(data) <= 600


def test_a_rate_is_met_by_the_codec():
    data = compress(PICTURE, quality=BitsPerPixel(0.25), effort=0)
    assert 0.24 <= 8 * len(data) / (120 * 160) <= 0.25


def test_decibels_are_reached_in_the_smallest_file():
    data = compress(PICTURE, quality=Psnr(30), effort=0)
    error = ((np.asarray(decompress(data), dtype=float) - PICTURE) ** 2).mean()
    assert 30 <= 10 * np.log10(255**2 / error) < 30.6


def test_a_metric_of_ones_own():
    metric = lambda x, y: 100 / (1 + abs(x.astype(float) - y).mean())  # noqa: E731
    data = compress(PICTURE, quality=Likeness(12, metric), effort=0)
    assert metric(PICTURE, np.asarray(decompress(data))) >= 12


@pytest.mark.parametrize("target", [Size(3), Psnr(90)])
def test_what_is_out_of_reach_is_said(target):
    with pytest.raises(InvalidInputError, match="out of reach"):
        compress(PICTURE, quality=target, effort=0)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "many"])
def test_a_target_that_is_no_positive_number_is_refused(value):
    with pytest.raises(InvalidInputError, match="above zero"):
        Size(value)
