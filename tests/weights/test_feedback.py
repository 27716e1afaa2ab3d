"""Quantization with error feedback, against direct computations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.weights.quantization.curvature import Curvature, Group, placed
from barycode.weights.quantization.feedback import Block, Lanes, best_fed_path, sweep
from barycode.weights.quantization.trellis import GRIDS, Prices, best_path, grids_along, points

TIME = 8


def prices(rate_weight: float = 0.2) -> Prices:
    bits = np.abs(np.arange(32, dtype=np.float32))[None].repeat(GRIDS, 0) * 1.5 + 0.5
    return Prices(bits, 0, rate_weight)


def positive(random: np.random.Generator, size: int) -> np.ndarray:
    factor = random.normal(size=(size, size + 4))
    return (factor @ factor.T / size + 0.05 * np.eye(size)).astype(np.float32)


def cost(targets, codes, hessian, price: Prices) -> float:
    grids = grids_along(codes)
    errors = (points(codes, grids) - targets).astype(np.float64)
    bits = price.bits[grids, np.minimum(np.abs(codes), price.bits.shape[1] - 1)].sum()
    return float(np.einsum("tn,ts,sn->", errors, hessian, errors) + price.rate_weight * bits)


@given(st.integers(1, 12), st.integers(0, 99))
@settings(deadline=None)
def test_a_block_is_its_factors(size, seed):
    hessian = positive(np.random.default_rng(seed), size)
    block = Block.of(hessian)
    assert np.allclose(block.mixing.T @ np.diag(block.weights) @ block.mixing, hessian, atol=1e-4)
    assert np.allclose(np.triu(block.mixing), np.eye(size), atol=1e-6)
    assert np.allclose(block.inverse @ hessian, np.eye(size), atol=1e-2)


@given(st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_without_feedback_the_path_is_that_of_plain_viterbi(seed):
    random = np.random.default_rng(seed)
    targets = random.normal(size=(16, 5)).astype(np.float32) * 3
    classes = np.zeros(targets.shape, np.uint8)
    identity = np.eye(16, dtype=np.float32)[None].repeat(5, 0)
    fed = best_fed_path(targets, classes, prices(), np.ones_like(targets), identity)
    plain = best_path(targets, classes, prices())
    one, other = (cost(targets, codes, np.eye(16), prices()) for codes in (fed, plain))
    assert one == pytest.approx(other, rel=1e-4)


def test_feedback_makes_the_outputs_move_less():
    random = np.random.default_rng(0)
    hessian = positive(random, 32)
    targets = random.normal(size=(32, 40)).astype(np.float32) * 2
    classes = np.zeros(targets.shape, np.uint8)
    block = Block.of(hessian)
    weights = np.broadcast_to(block.weights[:, None], targets.shape)
    fed = best_fed_path(targets, classes, prices(), weights, block.mixing[None].repeat(40, 0))
    plain = best_path(targets, classes, prices())
    assert cost(targets, fed, hessian, prices()) < 0.85 * cost(targets, plain, hessian, prices())


shapes = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(1, 4), st.integers(1, 21)),
    min_size=1,
    max_size=3,
)


@given(shapes, st.integers(0, 30), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_lanes_of_a_wave_share_no_row_and_sweeps_keep_count(parts, start, seed):
    """Each part: entries before it, groups, rows of a group, columns; the piece starts inside the first."""
    random = np.random.default_rng(seed)
    curvatures, place = [], 0
    for gap, groups, rows, columns in parts:
        place += gap
        moments = np.stack([positive(random, columns) for _ in range(groups)])
        weights = random.uniform(0.5, 2, groups * rows).astype(np.float32)
        pairs = zip(np.split(weights, groups), moments, strict=True)
        curvatures.append((place, Curvature(tuple(Group(*pair) for pair in pairs))))
        place += groups * rows * columns
    start = min(start, place - 1)
    matrices = placed(curvatures)
    assert matrices[-1].stop == place
    count = -(-(place - start) // TIME)
    lanes = Lanes(matrices, start, count, TIME)
    row_of = np.full(count * TIME, -1)
    for number, matrix in enumerate(matrices):
        for row in range(len(matrix.rows)):
            first = matrix.start + row * matrix.columns - start
            part = slice(max(first, 0), max(first + matrix.columns, 0))
            row_of[part] = 1000 * number + row
            assert (lanes.weights[part] == matrix.rows[row]).all()
    for wave in range(lanes.waves):
        owners = [set(row_of.reshape(count, TIME)[lane].tolist()) - {-1} for lane in lanes.in_wave(wave)]
        assert sum(map(len, owners)) == len(set().union(*owners))
    targets = random.normal(size=(count, TIME)).astype(np.float32) * 2
    codes = sweep(targets, np.zeros(targets.shape, np.uint8), prices(), lanes)
    errors = (points(codes.T, grids_along(codes.T)).T - targets).ravel().astype(np.float64)
    found = lanes.compensation(np.arange(count)).ravel()
    for number, matrix in enumerate(matrices):
        for row in range(len(matrix.rows)):
            own = np.flatnonzero(row_of == 1000 * number + row)
            if len(own) == matrix.columns:
                wide = matrix.moments.astype(np.float64)
                for lane in np.unique(own // TIME):
                    here = own // TIME == lane
                    want = -np.linalg.solve(wide[np.ix_(here, here)], (wide @ errors[own])[here])
                    assert np.allclose(found[own[here]], want, atol=1e-2, rtol=1e-2)


def test_rows_of_a_curvature():
    groups = tuple(Group(np.arange(3 * g, 3 * g + 3, dtype=np.float32), np.eye(2) * g) for g in range(3))
    some = Curvature(groups).of_rows(2, 7)
    assert [group.rows.tolist() for group in some.groups] == [[2], [3, 4, 5], [6]]
    assert [group.moments[0, 0] for group in some.groups] == [0, 1, 2]
    assert (some.rows, some.columns) == (5, 2)
