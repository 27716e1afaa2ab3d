"""SSIMULACRA2 against published scores of the reference implementation.

Scores: imazen/ssimulacra2, src/reference_data.rs (2026-01-04), captured from libjxl's C++ binary on pictures
that are made here in the same way.
"""

import numpy as np
import pytest

from barycode.evaluation import metrics
from barycode.evaluation.ssimulacra2 import score


def flat(side, level):
    return np.full((side, side, 3), level, np.uint8)


def gradient(side):
    return np.broadcast_to(
        (np.arange(side) * 255 // (side - 1)).astype(np.uint8)[None, :, None], (side, side, 3)
    )


def noise(side, seed):
    values, state = np.empty(side * side * 3, np.uint8), seed
    for i in range(len(values)):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values[i] = (state >> 33) & 255
    return values.reshape(side, side, 3)


@pytest.mark.parametrize(
    ("original", "expected"), [(gradient(64), -64.56872148), (noise(64, 42), -47.33572558)]
)
def test_structure_scores_as_in_the_reference(original, expected):
    assert score(original, flat(64, 128)) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("side", "shift", "expected"),
    [(64, 20, 56.05855584), (64, 50, -8.75942256), (128, 20, 54.27883917), (256, 50, -0.39085784)],
)
def test_flat_pictures_score_as_in_the_reference(side, shift, expected):
    # The reference's recursive filter rounds in float32, which moves flat pictures.
    assert score(flat(side, 128), flat(side, 128 + shift)) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("shape", [(8, 8, 3), (9, 40, 3), (33, 17), (64, 65, 3)])
def test_identical_pictures_score_100(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert metrics.ssimulacra2(pixels, pixels) == pytest.approx(100, abs=1e-3)


def test_more_noise_scores_less(picture):
    original = np.asarray(picture.image)
    noises = [np.random.default_rng(1).normal(0, sigma, original.shape) for sigma in (1, 3, 9, 27)]
    scores = [score(original, (original + n).clip(0, 255).astype(np.uint8)) for n in noises]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1] + 20


def test_a_picture_too_small_is_refused():
    small = flat(7, 0)
    with pytest.raises(metrics.InvalidInputError, match="at least 8 pixels"):
        metrics.ssimulacra2(small, small)
