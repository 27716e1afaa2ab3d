from itertools import product

import numpy as np
import pytest

from barycode.weights.quantization.trellis import (
    GRIDS,
    NEXT,
    STATES,
    Prices,
    advance,
    best_path,
    grid_of,
    grids_along,
    points,
)


@pytest.fixture
def prices():
    generator = np.random.default_rng(0)
    bits = np.cumsum(generator.random((GRIDS * 3, 8)), 1).astype(np.float32)
    return Prices(bits, 0, 0.3)


def cost(codes, targets, classes, prices):
    """Of one lane, written without vectors: the sum of squared errors and priced bits."""
    state, total = 0, 0.0
    for code, target, kind in zip(codes, targets, classes, strict=True):
        grid = state % 2
        point = 0 if code == 0 else (2 * abs(code) - grid) * (1 if code > 0 else -1)
        bits = prices.bits[grid * 3 + kind, min(abs(code), 7)]
        total += (target - point) ** 2 + prices.rate_weight * bits
        state = int(NEXT[state, code % 2])
    return total


def test_no_other_path_is_cheaper(prices):
    generator = np.random.default_rng(1)
    targets = generator.normal(0, 2.5, (4, 20)).astype(np.float32)
    classes = generator.integers(0, 3, (4, 20))
    paths = best_path(targets, classes, prices)
    for lane in range(20):
        column = targets[:, lane], classes[:, lane], prices
        least = min(cost(codes, *column) for codes in product(range(-4, 5), repeat=4))
        assert cost(paths[:, lane].tolist(), *column) == pytest.approx(least, rel=1e-5)


def test_weights_of_zero_keep_the_path(prices):
    """A zero that takes an odd code leads to the state that was planned: what follows stays as near."""
    targets = np.random.default_rng(2).normal(0, 2.5, (64, 40)).astype(np.float32)
    targets[::3] = 0
    free = Prices(np.zeros_like(prices.bits), 0, 0.0)
    codes = best_path(targets, np.zeros((64, 40), np.uint8), free)
    assert (codes[::3] != 0).any()
    assert np.abs(points(codes, grids_along(codes)) - targets).max() < 1.6


def test_both_grids_have_zero_and_interleave():
    codes = np.arange(-3, 4)
    assert points(codes, np.zeros(7, int)).tolist() == [-6, -4, -2, 0, 2, 4, 6]
    assert points(codes, np.ones(7, int)).tolist() == [-5, -3, -1, 0, 1, 3, 5]


def test_every_state_has_two_ways_in():
    ways = np.bincount(NEXT.ravel(), minlength=STATES)
    assert ways.tolist() == [2] * STATES


def test_grids_follow_the_parities():
    codes = np.array([[1, 0], [-1, 0], [3, 0]])
    states = np.zeros(2, np.uint8)
    for row, grids in zip(codes, grids_along(codes), strict=True):
        assert grids.tolist() == grid_of(states).tolist()
        states = advance(states, row)
    assert grids_along(codes)[:, 1].tolist() == [0, 0, 0]


def test_without_a_price_the_path_is_as_fine_as_both_grids_allow():
    generator = np.random.default_rng(2)
    targets = generator.uniform(-40, 40, (64, 500)).astype(np.float32)
    free = Prices(np.zeros((GRIDS, 2), np.float32), 0, 0.0)
    codes = best_path(targets, np.zeros(targets.shape, int), free)
    error = np.square(targets - points(codes, grids_along(codes))).mean()
    assert 2**2 / 12 * 10 ** (-0.12) < error < 2**2 / 12 * 10 ** (-0.08)  # 0.8 to 1.2 dB below one grid's


def test_low_bits_are_free():
    shifted = Prices(np.array([[0.0, 5.0]] * GRIDS, np.float32), 3, 1.0)
    costs = shifted.costs(np.arange(10, dtype=np.int32), np.zeros(10, int), 1)
    assert costs.tolist() == [0] * 8 + [5, 5]
