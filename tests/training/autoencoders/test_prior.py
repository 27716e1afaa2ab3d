import math

import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.training.autoencoders.prior import CodePrior, PriorTask, mean_bits


def test_logits_never_see_their_own_symbol_or_later_ones():
    torch.manual_seed(0)
    prior = CodePrior(5, 6, 2, width=32, layers=2).eval()
    sequences = torch.randint(5, (3, 6))
    changed = sequences.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 5
    before, after = prior(sequences), prior(changed)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_drawing_place_by_place_has_the_odds_of_the_whole():
    torch.manual_seed(0)
    prior = CodePrior(5, 6, 2, width=64, layers=2)
    torch.nn.init.normal_(prior.heads)  # odds that differ
    torch.manual_seed(1)
    drawn = prior.sample(300)
    torch.manual_seed(1)
    again = [torch.multinomial(torch.softmax(prior(drawn)[:, t], -1), 1) for t in range(6)]
    assert (torch.cat(again, 1) == drawn).float().mean() > 0.99


def test_it_learns_a_rule_and_draws_by_it():
    first = torch.randint(4, (200, 1), generator=torch.Generator().manual_seed(0))
    sequences = (first + torch.arange(4)) % 4
    task = PriorTask(sequences[:150], sequences[150:], 4, 1, seed=0)
    for _ in range(40):
        task.step()
    assert task.validate()["bits"] < 1.2 * 2 / 4
    drawn = task.prior.sample(40)
    assert ((drawn.diff(dim=1) % 4 == 1).float().mean()) > 0.9


def test_an_untrained_prior_needs_about_all_bits():
    prior = CodePrior(16, 4, width=32, layers=1)
    assert mean_bits(prior, torch.randint(16, (50, 4))) == pytest.approx(math.log2(16), abs=0.2)


def test_places_are_whole():
    with pytest.raises(InvalidInputError, match="whole number of places"):
        CodePrior(4, 7, 2)
