import itertools

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
    chooser = Chooser(LENGTHS, _identity, trade=0.1)
    chosen = chooser.choose(ratio, STEP)
    classes = STEP.prediction.classes(0)
    cost = lambda codes: (ratio - codes) ** 2 + 0.1 * code_bits(codes, classes, LENGTHS)  # noqa: E731
    for offset, keep_zero in itertools.product((0, 1), (False, True)):
        near = torch.zeros_like(ratio) if keep_zero else ratio.floor() + offset
        assert (cost(chosen) <= cost(near) + 1e-5).all()


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
