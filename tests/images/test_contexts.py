import pytest
import torch

from barycode.images.contexts import FAMILIES, AcContext, DcContext, walk
from barycode.images.transform import BANDS


@pytest.fixture(scope="module")
def contexts():
    torch.manual_seed(0)
    return DcContext(), AcContext(hidden=16)


def _codes(batch, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(batch, BANDS, height, width, generator=generator)
    return (codes * torch.linspace(9, 0.4, BANDS)[:, None, None]).round()


def _steps(contexts, codes, octave=0.0):
    """The steps of a walk over known codes."""
    steps = []

    def exchange(step):
        steps.append(step)
        return codes.flatten(2)[:, list(step.bands)][..., step.places]

    with torch.no_grad():
        octaves = torch.full((len(codes),), octave)
        visited = walk(*contexts, (len(codes), *codes.shape[2:]), octaves, exchange)
    assert torch.equal(visited, codes)
    return steps


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
    double = _steps(tuple(c.double() for c in contexts), codes.double())
    for c in contexts:
        c.float()
    for one, many, wide in zip(alone, together, double, strict=True):
        reference = one.prediction.classes(one.family)
        assert torch.equal(reference.row, many.prediction.classes(many.family).row[1:2])
        assert torch.equal(reference.shift, wide.prediction.classes(wide.family).shift[1:2])
        assert torch.equal(reference.row, wide.prediction.classes(wide.family).row[1:2])


def test_training_sees_the_integers_that_coding_sees(contexts):
    codes = _codes(2, 10, 10)
    exact = _steps(contexts, codes)
    trained = []

    def exchange(step):
        trained.append(step)
        return codes.flatten(2)[:, list(step.bands)][..., step.places]

    walk(*contexts, (2, 10, 10), torch.zeros(2), exchange)
    assert trained[-1].prediction.scale.requires_grad
    for a, b in zip(exact, trained, strict=True):
        assert torch.equal(a.prediction.scale, b.prediction.scale)
        assert torch.equal(a.prediction.mean, b.prediction.mean)
