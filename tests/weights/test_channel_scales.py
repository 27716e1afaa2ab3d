import numpy as np
import pytest

from barycode.rate import SymbolDecoder, SymbolEncoder
from barycode.weights.entropy_coding.channel_scales import PER_OCTAVE, Grid, ScaleCoder, Scales
from barycode.weights.entropy_coding.symbol_stream import Reading, Writing


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((), Grid(1, 1, 1)),
        ((7,), Grid(1, 1, 7)),
        ((5, 7), Grid(5, 7, 1)),
        ((5, 7, 3, 2), Grid(5, 7, 6)),
        ((0, 7), Grid(1, 1, 0)),
        ((2**17, 2**17, 0), Grid(1, 1, 0)),
    ],
)
def test_shapes_as_matrices(shape, grid):
    assert Grid.of(shape) == grid
    assert grid.size == np.prod(shape, dtype=int)


def test_short_lines_have_no_class():
    assert Grid(4, 20, 1).lines == (4, 0)
    assert Grid(4, 20, 9).lines == (4, 20)
    assert Grid(1, 1, 100).lines == (0, 0)


def test_classes_find_the_scales_of_rows_and_columns():
    generator = np.random.default_rng(0)
    rows, columns = 2.0 ** generator.integers(-3, 4, 60), 2.0 ** generator.integers(-2, 3, 80)
    magnitudes = np.abs(generator.normal(size=(60, 80, 9))) * rows[:, None, None] * columns[None, :, None]
    scales = Scales.measure(magnitudes.ravel().astype(np.float32), Grid(60, 80, 9))
    truth = np.log2(0.8 * rows[:, None] * columns[None]) * PER_OCTAVE
    found = scales.unbounded().reshape(60, 80, 9)[:, :, 0]
    assert np.abs(found - truth).max() <= 1.5
    assert scales.classes(10, 3).min() >= 0
    assert scales.classes(10, 3).max() <= 9


@pytest.mark.parametrize("grid", [Grid(60, 80, 9), Grid(1, 1, 50), Grid(3, 400, 1), Grid(0, 5, 1)])
def test_scales_come_back(grid):
    generator = np.random.default_rng(1)
    scales = Scales.measure(generator.gamma(0.3, size=grid.size).astype(np.float32), grid)
    encoder = SymbolEncoder()
    ScaleCoder().code(Writing(encoder), grid, scales)
    back = ScaleCoder().code(Reading(SymbolDecoder(encoder.finish())), grid, None)
    assert (back.grid, back.base) == (scales.grid, scales.base)
    assert np.array_equal(back.rows, scales.rows)
    assert np.array_equal(back.columns, scales.columns)


def test_nothing_has_a_scale_too():
    assert Scales.measure(np.zeros(40, np.float32), Grid(1, 1, 40)).base < -300
