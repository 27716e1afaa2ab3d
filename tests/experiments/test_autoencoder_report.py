import math

import pytest
from scipy import stats

from barycode.experiments.autoencoder_report import (
    Column,
    group,
    half_width,
    over_seconds,
    plot_seconds,
    plot_training,
    table,
)

ROWS = [
    {"method": "a", "mse": 1.0, "curve": [[1, 3.0], [2, 1.0]]},
    {"method": "b", "mse": 5.0, "curve": [[1, 6.0], [2, 5.0]], "bits": None},
    {"method": "a", "mse": 3.0, "curve": [[1, 4.0], [2, 3.0]], "bits": 9.0},
]


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, 4.0, 2.0], [0.1, 0.3, 0.2, 0.7, 0.4]])
def test_intervals_are_students(values):
    low, high = stats.t.interval(0.95, len(values) - 1, sum(values) / len(values), stats.sem(values))
    assert half_width(values) == pytest.approx((high - low) / 2, rel=1e-3)


def test_one_seed_has_no_interval():
    assert math.isinf(half_width([1.0]))


def test_a_table_has_a_line_a_group():
    columns = (Column("MSE", lambda row: row["mse"], "{:.1f}"), Column("bits", lambda row: row.get("bits")))
    lines = table(group(ROWS, lambda row: row["method"]), "method", columns).splitlines()
    assert lines[0] == "| method | seeds | MSE | bits |"
    assert lines[2] == "| a | 2 | 2.0 ± 12.7 | 9 |"
    assert lines[3] == "| b | 1 | 5.0 | - |"


def test_seconds_are_those_of_the_seed_that_was_timed():
    rows = [ROWS[0] | {"step_seconds": 0.5}, ROWS[2]]
    assert over_seconds(rows) == [[(0.5, 3.0), (1.0, 1.0)], [(0.5, 4.0), (1.0, 3.0)]]
    assert over_seconds(ROWS) == []


@pytest.mark.parametrize("plot", [plot_training, plot_seconds])
def test_curves_are_drawn(tmp_path, plot):
    plot(group(ROWS, lambda row: row["method"]), "title", tmp_path / "folder" / "plot.png")
    assert (tmp_path / "folder" / "plot.png").read_bytes().startswith(b"\x89PNG")
