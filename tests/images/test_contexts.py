import copy

import pytest
import torch

from barycode.images.contexts import Contexts
from barycode.images.lattice import GRAINS, UNIT
from barycode.images.slices import DC_BANDS
from barycode.images.transform import BANDS
from barycode.images.walk import AC_FAMILIES, FAMILIES, walk


@pytest.fixture(scope="module")
def contexts():
    torch.manual_seed(0)
    return Contexts(hidden=16)


def _codes(batch, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(batch, BANDS, height, width, generator=generator)
    return (codes * torch.linspace(9, 0.4, BANDS)[:, None, None]).round()


def _steps(contexts, codes, octave=0.0):
    """The steps of a walk that is shown known codes, of DC too."""
    steps = []
    octaves = torch.full((len(codes),), octave)
    with torch.no_grad():
        visited = walk(contexts, len(codes), codes.shape[2:], octaves, _shown(codes, steps))
    ac = [band for band in range(BANDS) if band not in DC_BANDS]
    assert torch.equal(visited[:, ac], codes[:, ac])
    for step in steps:
        values = step.origin + step.grain * codes.flatten(2)[:, list(step.bands)][..., step.places]
        assert torch.equal(visited.flatten(2)[:, list(step.bands)][..., step.places], values)
    return steps


def _shown(codes, steps):
    def exchange(step):
        steps.append(step)
        return codes.flatten(2)[:, list(step.bands)][..., step.places]

    return exchange


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (18, 34)])
def test_every_code_is_visited_once(contexts, size):
    count = torch.zeros(BANDS, size[0] * size[1])
    for step in _steps(contexts, _codes(1, *size)):
        assert step.prediction.scale.shape == (1, len(step.bands), len(step.places))
        assert 0 <= step.family < FAMILIES
        for band in step.bands:
            count[band, step.places] += 1
    assert (count == 1).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_prediction_depends_on_earlier_codes_only(contexts, seed):
    codes = _codes(1, 18, 20)
    steps = _steps(contexts, codes)
    changed_at = int(torch.randint(len(steps), (), generator=torch.Generator().manual_seed(seed)))
    step = steps[changed_at]
    other = codes.clone().flatten(2)
    other[:, step.bands[0], step.places[0]] += 5
    for before, after in zip(steps[: changed_at + 1], _steps(contexts, other.view_as(codes)), strict=False):
        assert torch.equal(before.prediction.scale, after.prediction.scale)
        assert torch.equal(before.prediction.mean, after.prediction.mean)


def test_predictions_are_the_same_for_any_batch_threads_and_precision(contexts):
    codes = _codes(3, 12, 11)
    alone = _steps(contexts, codes[1:2])
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    together = _steps(contexts, codes)
    torch.set_num_threads(threads)
    double = _steps(copy.deepcopy(contexts).double(), codes.double())
    for one, many, wide in zip(alone, together, double, strict=True):
        reference = one.prediction.classes(one.family)
        assert torch.equal(reference.row, many.prediction.classes(many.family).row[1:2])
        assert torch.equal(reference.shift, wide.prediction.classes(wide.family).shift[1:2])
        assert torch.equal(reference.row, wide.prediction.classes(wide.family).row[1:2])


def test_training_sees_the_integers_that_coding_sees(contexts):
    codes = _codes(2, 10, 10)
    exact = _steps(contexts, codes)
    trained = []
    walk(contexts, 2, (10, 10), torch.zeros(2), _shown(codes, trained))
    assert trained[-1].prediction.scale.requires_grad
    for a, b in zip(exact, trained, strict=True):
        assert torch.equal(a.prediction.scale, b.prediction.scale)
        assert torch.equal(a.prediction.mean, b.prediction.mean)


def test_dc_is_predicted_in_eighths_and_counted_in_the_grain_of_its_grid(contexts):
    dc = [step for step in _steps(contexts, _codes(2, 33, 35)) if step.family < AC_FAMILIES]
    assert {step.grain * UNIT for step in dc} == set(GRAINS.values())
    for step in dc:
        units = step.origin * UNIT
        assert torch.equal(units, units.round())
        assert not step.prediction.mean.any()


def test_where_no_difference_is_coded_the_plane_is_its_prediction_to_an_eighth(contexts):
    """A plane of zero differences after the coarsest grid has no steps of its own: it stays within the
    reach of what the networks say, and moves in eighths.
    """
    codes = torch.zeros(1, BANDS, 33, 35)
    planes = walk(contexts, 1, (33, 35), torch.zeros(1), _shown(codes, []))[:, DC_BANDS]
    assert torch.equal(planes * UNIT, (planes * UNIT).round())
