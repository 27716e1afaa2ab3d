import itertools

import pytest
import torch

from barycode.images.prediction import LIMIT, ROWS, Prediction, laplacian_tables
from barycode.images.rate_distortion import Chooser, candidates, code_bits
from barycode.images.walk import Step

LENGTHS = -torch.log2(laplacian_tables(0.6)).float()
STEP = Step((3, 4), torch.arange(5), 0, Prediction(torch.full((1, 2, 5), 12.0), torch.full((1, 2, 5), 0.3)))


def _identity(codes, bands):
    return codes


def test_the_choice_is_the_best_of_all_codes_near_the_ratio():
    ratio = torch.randn(1, 2, 5, generator=torch.Generator().manual_seed(1)) * 2
    chooser = Chooser(LENGTHS, _identity, rate_weight=0.1)
    chosen = chooser.choose(ratio, STEP)
    classes = STEP.prediction.classes(0)
    cost = lambda codes: (ratio - codes) ** 2 + 0.1 * code_bits(codes, classes, LENGTHS)  # noqa: E731
    for offset, keep_zero in itertools.product((0, 1), (False, True)):
        near = torch.zeros_like(ratio) if keep_zero else ratio.floor() + offset
        assert (cost(chosen) <= cost(near) + 1e-5).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_codes_that_are_certain_to_be_zero_are_those_that_all_options_choose(weighted):
    random = torch.Generator().manual_seed(5)
    places = torch.arange(4000)
    draw = lambda spread: torch.randn(1, 2, len(places), generator=random) * spread  # noqa: E731
    scale = torch.rand(1, 2, len(places), generator=random) * 40 - 4
    step = Step((3, 4), places, 0, Prediction((scale * 8).floor() / 8, (draw(0.5) * 32).floor() / 32))
    weight = draw(1.0).exp() if weighted else None
    chooser = Chooser(LENGTHS, _identity, rate_weight=0.1)
    ratio = draw(0.6)
    options = chooser.options(ratio, step)
    expected = (options.weighted(weight) if weighted else options).cheapest(0.1)
    assert torch.equal(chooser.choose(ratio, step, weight), expected)
    assert 0.5 < (expected == 0).float().mean() < 0.95


def test_without_a_price_for_bits_the_choice_is_rounding():
    ratio = torch.tensor([[[0.4, 0.6, -1.4, -1.6, 0.0], [2.2, -2.7, 7.9, -0.3, 1.0]]])
    assert torch.equal(Chooser(LENGTHS, _identity, 0.0).choose(ratio, STEP), ratio.round())


def test_candidates_of_an_integer_include_it_and_zero():
    assert set(candidates(torch.tensor(3.0)).tolist()) == {3.0, 2.0, 0.0}


def test_an_escape_costs_its_exp_golomb_code():
    classes = Prediction(torch.zeros(3), torch.zeros(3)).classes(0)
    inside = LENGTHS[0, -1]
    bits = code_bits(torch.tensor([LIMIT, LIMIT + 1, LIMIT + 3]), classes, LENGTHS) - inside
    assert bits.tolist() == [1, 3, 5]
    assert len(LENGTHS) == ROWS
