import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from barycode.images.prediction import (
    FRACTIONS,
    LIMIT,
    ROWS,
    SCALES,
    Prediction,
    laplacian_bits,
    laplacian_tables,
)

units = st.integers(-4000, 4000)


@given(st.lists(st.tuples(units, units, st.integers(-500, 500)), min_size=1, max_size=20))
def test_symbols_and_codes_are_inverse_and_rows_are_in_range(triples):
    scale, mean, code = (torch.tensor(column).float() for column in zip(*triples, strict=True))
    classes = Prediction(scale / 8, mean / 32).classes(family=3)
    assert (classes.codes(classes.symbols(code.int())) == code).all()
    assert ((classes.row >= 3 * ROWS) & (classes.row < 4 * ROWS)).all()


@given(units)
def test_the_mean_is_within_half_a_code_of_the_shift(mean):
    classes = Prediction(torch.tensor([5.0]), torch.tensor([mean / 32])).classes(0)
    rest = (mean / 32 - classes.shift.item()) * classes.sign.item()
    fraction = classes.row.item() % FRACTIONS
    assert 0 <= rest <= 0.5
    assert abs(rest - fraction / 8) <= 1 / 16 + 1e-6


@pytest.mark.parametrize("dead_zone", [0.5, 0.65])
@pytest.mark.parametrize("mean", [0.0, 0.3, -1.7])
def test_the_mass_of_all_codes_is_one(dead_zone, mean):
    # At a mean away from zero the cells of a dead zone still tile the line.
    codes = torch.arange(-4000, 4001).double()
    for scale in (0.0, 10.0, 25.0, 39.0):
        prediction = Prediction(torch.tensor(scale).double(), torch.tensor(mean).double())
        mass = 2 ** -laplacian_bits(codes, prediction, dead_zone)
        assert mass.sum().item() == pytest.approx(1, abs=1e-3)


def test_bits_agree_with_the_integral_of_the_density():
    scale = 0.04 * 2 ** (20 / 4)
    grid = torch.linspace(0.65, 1.65, 200001).double()
    density = torch.exp(-(grid - 0.25).abs() / scale) / (2 * scale)
    mass = torch.trapezoid(density, grid).item()
    bits = laplacian_bits(torch.tensor(1.0), Prediction(torch.tensor(20.0), torch.tensor(0.25)), 0.65)
    assert bits.item() == pytest.approx(-math.log2(mass), abs=1e-3)


def test_gradients_are_finite_everywhere():
    codes = torch.tensor([-300.0, -1, 0, 0, 1, 300])
    scale = torch.tensor([0.0, 0, 0, 40, 40, 0], requires_grad=True)
    mean = torch.tensor([0.0, 0.9, 0, 0, -4, 4], requires_grad=True)
    laplacian_bits(codes, Prediction(scale, mean), 0.65).sum().backward()
    assert scale.grad.isfinite().all()
    assert mean.grad.isfinite().all()


def test_tables_are_distributions_that_widen_with_the_scale():
    tables = laplacian_tables(0.6)
    assert tables.shape == (ROWS, 2 * LIMIT + 1)
    torch.testing.assert_close(tables.sum(1), torch.ones(ROWS).double())
    peaks = tables[::FRACTIONS].amax(1)
    assert len(peaks) == SCALES
    assert (peaks.diff() <= 1e-12).all()
