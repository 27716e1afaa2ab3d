import pytest
import torch

from barycode.images.lattice import base_places, phases, spread_base

SIZES = [(1, 1), (1, 9), (17, 1), (16, 16), (33, 50)]


@pytest.mark.parametrize("size", SIZES)
def test_every_place_comes_exactly_once(size):
    places = torch.cat([base_places(*size), *(p.places for p in phases(*size))])
    assert sorted(places.tolist()) == list(range(size[0] * size[1]))


@pytest.mark.parametrize("size", SIZES)
def test_inner_neighbours_are_known_before_they_are_used(size):
    height, width = size
    known = set(base_places(*size).tolist())
    for phase in phases(*size):
        y, x = phase.places // width, phase.places % width
        reach = 3 * phase.stride
        inside = (y >= reach) & (y < height - reach) & (x >= reach) & (x < width - reach)
        assert set(phase.neighbours[:, inside].flatten().tolist()) <= known
        known |= set(phase.places.tolist())


def test_nearest_neighbours_are_the_closest():
    for phase in phases(65, 65):
        y, x = phase.neighbours // 65 - phase.places // 65, phase.neighbours % 65 - phase.places % 65
        middle = (phase.places // 65 - 32).abs() + (phase.places % 65 - 32).abs() < 8
        distance = (y**2 + x**2)[:, middle]
        assert (distance[:4] <= distance[4:].amin(0) if distance.numel() else torch.ones(1)).all()


def test_places_start_from_the_nearest_base():
    assert spread_base(1, 40).tolist() == [0] * 8 + [1] * 16 + [2] * 16
