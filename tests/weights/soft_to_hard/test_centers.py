"""Centers as objects."""

import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.weights.soft_to_hard import (
    Centers,
    Grid,
    LearnedCenters,
    grid,
    kmeans_centers,
    nearest_rank,
    relative_grid,
)

WEIGHTS = 0.1 * torch.randn(500, generator=torch.Generator().manual_seed(0))


def test_a_grid_is_its_step_times_integers() -> None:
    values = Grid(0.25, 2).values()
    torch.testing.assert_close(values, torch.tensor([-0.5, -0.25, 0.0, 0.25, 0.5]))


def test_a_grid_rounds_as_a_search_would() -> None:
    centers = Grid(0.03, 20)
    assert torch.equal(centers.nearest(WEIGHTS), nearest_rank(WEIGHTS, centers.values()))


def test_a_grid_holds_all_weights_and_cuts_later_ones() -> None:
    centers = grid(0.03)(WEIGHTS)
    values = centers.values()[centers.nearest(WEIGHTS)]
    assert (values - WEIGHTS).abs().max() <= 0.015 + 1e-6
    assert centers.nearest(torch.tensor([1e9, -1e9])).tolist() == [len(centers.values()) - 1, 0]


def test_a_relative_grid_follows_the_deviation() -> None:
    steps = [float(relative_grid(4.0)(scale * WEIGHTS).spacing().detach()) for scale in (1.0, 10.0)]
    assert steps[1] == pytest.approx(10 * steps[0], rel=1e-4)
    assert steps[0] == pytest.approx(float(WEIGHTS.square().mean().sqrt()) / 4, rel=1e-4)


def test_a_fixed_grid_learns_nothing() -> None:
    assert not any(p.requires_grad for p in grid(0.1, learned=False)(WEIGHTS).parameters())


@pytest.mark.parametrize(
    "centers", [Grid(0.1, 3), LearnedCenters(torch.tensor([0.3, -0.2, 0.05])), kmeans_centers(7)(WEIGHTS)]
)
def test_zero_stays_zero_and_order_stays_whatever_training_does(centers: Centers) -> None:
    random = torch.Generator().manual_seed(1)
    for _ in range(5):
        for parameter in centers.parameters():
            parameter.data += torch.randn(parameter.shape, generator=random)
        values = centers.values().detach()
        assert (values == 0).sum() == 1
        assert torch.equal(values, values.sort().values)


def test_the_center_nearest_to_zero_becomes_zero() -> None:
    values = LearnedCenters(torch.tensor([0.3, -0.2, 0.05])).values()
    torch.testing.assert_close(values, torch.tensor([-0.2, 0.0, 0.3]))


@pytest.mark.parametrize("weights", [torch.zeros(4), torch.zeros(0)])
def test_grids_of_nothing(weights: torch.Tensor) -> None:
    assert relative_grid()(weights).nearest(weights).tolist() == [1] * len(weights)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Grid(0.0, 3),
        lambda: Grid(float("nan"), 3),
        lambda: Grid(0.1, 0),
        lambda: grid(1e-9)(WEIGHTS),
        lambda: LearnedCenters(torch.zeros(0)),
        lambda: LearnedCenters(torch.tensor([1.0, float("inf")])),
    ],
)
def test_bad_centers_are_refused(make) -> None:
    with pytest.raises(InvalidInputError):
        make()
