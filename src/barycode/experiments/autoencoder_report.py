"""Tables and plots of autoencoder rows: means over seeds with their spread, and curves over training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from barycode.training.autoencoders.methods import find_method

Row = Mapping[str, Any]
# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Column:
    """A heading, the figure of a row (None where it has none), and how it is printed."""

    heading: str
    value: Callable[[Row], float | None]
    form: str = "{:.4g}"

    def cell(self, rows: Sequence[Row]) -> str:
        """The mean over the rows, with the half width of its 95 % confidence interval where they differ."""
        values = [value for row in rows if (value := self.value(row)) is not None]
        if not values:
            return "-"
        text = self.form.format(mean(values))
        half = half_width(values)
        return f"{text} ± {self.form.format(half).lstrip('+')}" if 0 < half < math.inf else text


def half_width(values: Sequence[float]) -> float:
    """Of the 95 % confidence interval of the mean, by Student's t; infinite for a single value."""
    if len(values) < 2:
        return math.inf
    quantile = STUDENT[min(len(values) - 2, len(STUDENT) - 1)]
    return quantile * stdev(values) / math.sqrt(len(values))


def group(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows by a label, in the order in which the labels come."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def table(groups: Mapping[str, Sequence[Row]], first: str, columns: Sequence[Column]) -> str:
    """A markdown table: a line a group, with the number of its rows (seeds)."""
    headings = [first, "seeds", *(column.heading for column in columns)]
    lines = [headings, ["---"] * len(headings)]
    for label, rows in groups.items():
        lines.append([label, str(len(rows)), *(column.cell(rows) for column in columns)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def step_columns(rows: Iterable[Row], reference: str) -> tuple[Column, Column]:
    """Columns of a training step's time: milliseconds, and times that of the method `reference`."""
    seconds = [row["step_seconds"] for row in rows if row["method"] == reference and "step_seconds" in row]

    def milliseconds(row: Row) -> float | None:
        return 1e3 * row["step_seconds"] if "step_seconds" in row else None

    def ratio(row: Row) -> float | None:
        return row["step_seconds"] / mean(seconds) if seconds and "step_seconds" in row else None

    title = f"step / {find_method(reference).title}"
    return Column("step, ms", milliseconds, "{:.0f}"), Column(title, ratio, "{:.1f}")


def plot_training(
    groups: Mapping[str, Sequence[Row]], title: str, path: Path, figure: str = "mean squared error"
) -> None:
    """The rows' curves, of a figure on what was held out over the steps, one line a run."""
    with error_plot(path, xlabel="steps", ylabel=f"{figure}, held out", title=title) as axes:
        for number, (label, rows) in enumerate(groups.items()):
            for row in rows:
                axes.plot(*zip(*row["curve"], strict=True), color=color(number), linewidth=1.3)
            axes.plot([], [], color=color(number), label=label)


def plot_seconds(groups: Mapping[str, Sequence[Row]], title: str, path: Path) -> None:
    """The same over the time that so many of the method's steps take, where they were timed."""
    labels = {"xlabel": "seconds of training", "ylabel": "mean squared error, held out", "title": title}
    with error_plot(path, **labels) as axes:
        for number, (label, rows) in enumerate(groups.items()):
            curves = over_seconds(rows)
            for curve in curves:
                axes.plot(*zip(*curve, strict=True), color=color(number), linewidth=1.3)
            axes.plot([], [], color=color(number), label=label if curves else f"{label} (not timed)")


def over_seconds(rows: Sequence[Row]) -> list[list[tuple[float, float]]]:
    """The rows' curves with seconds instead of steps; none where no step of these rows was timed."""
    timed = [row["step_seconds"] for row in rows if "step_seconds" in row]
    return [[(step * mean(timed), error) for step, error in row["curve"]] for row in rows] if timed else []


def color(number: int) -> tuple[float, ...]:
    """Of the group of a number; twenty differ."""
    return colormaps["tab20"](2 * number % 20 + number % 20 // 10)


@contextmanager
def error_plot(path: Path, **labels: str) -> Iterator[Axes]:
    """Axes with a logarithmic ordinate, written as PNG at the end: no global state, no display."""
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    axes = figure.add_subplot()
    yield axes
    axes.set(yscale="log", **labels)
    axes.grid(alpha=0.3, which="both")
    if entries := len(axes.get_legend_handles_labels()[0]):
        figure.set_size_inches(10, max(5.5, 0.2 * entries + 0.6))
        figure.legend(loc="outside right upper", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110, metadata={"Software": None})
