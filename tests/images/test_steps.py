import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.images.model import ModelConfig
from barycode.images.quality import step_index
from barycode.images.steps import StepPolicy, check_index, octave_of, step_of

ACTIVE = StepPolicy(exponent=0.5, growth=0.06, chroma=1.3)


def test_thirty_two_indices_double_the_step():
    assert step_of(0) == 50
    assert step_of(32) == 100
    assert [octave_of(i) for i in (-5, -4, -1, 0, 3, 4)] == [-2, -1, -1, 0, 0, 1]


@pytest.mark.parametrize("index", [-129, 128])
def test_an_index_out_of_range_is_refused(index):
    with pytest.raises(InvalidInputError, match="step index"):
        check_index(index)


def test_named_qualities_are_the_named_points_and_steps_fall_with_quality():
    points = ModelConfig("m").qualities
    assert tuple(step_index(q, points) for q in range(1, 9)) == points
    between = [step_index(1 + i / 10, points) for i in range(71)]
    assert between == sorted(between, reverse=True)


def test_the_default_policy_keeps_every_step():
    codes = torch.randn(1, 192, 4, 5).round()
    places = StepPolicy().measure(codes, torch.tensor([50.0]))
    assert (StepPolicy().combine(places) == 1).all()


def test_steps_grow_with_activity_within_the_clip():
    codes = torch.zeros(1, 192, 8, 16)
    codes[:, 0, :, 8:] = torch.randn(8, 8, generator=torch.Generator().manual_seed(0)).mul(9).round()
    places = ACTIVE.measure(codes, torch.tensor([50.0]))[0, 0]
    assert places[:, :6].max() < places[:, 10:].min()
    low, high = ACTIVE.clip
    assert (places >= low).all()
    assert (places <= high).all()


def test_bands_that_activity_is_measured_on_keep_the_pictures_step():
    factors = ACTIVE.combine(torch.full((1, 1, 2, 2), 1.7))[0, :, 0, 0].view(3, 8, 8)
    assert (factors[:, 0, 0] == 1).all()
    assert factors[0, 0, 1] == factors[0, 1, 0] == 1
    assert factors[0, 1, 1].item() == pytest.approx(1.7 * 1.12)
    assert factors[1, 0, 1].item() == pytest.approx(1.7 * 1.06 * 1.3)
