"""Table and plot of the rows; the README's text around them is written by hand."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.axes import Axes

from barycode.experiments.autoencoder_report import (
    Column,
    error_plot,
    group,
    plot_training,
    step_columns,
    table,
)
from barycode.experiments.document_tables import fill_table
from barycode.quantizers.codebook.codebook import Codebook
from barycode.training.autoencoders.methods import find_method

Row = Mapping[str, Any]
PIXELS_A_VECTOR = 16
NAMES_AT = (9.4, 18.4)  # bits a vector, where the plot has its names
TEXT_LINE = 1.042  # in ratios of the error
LINE = (8.0, 18.0)  # bits a vector, where the line is drawn
ENDS = (("vq-revive", 512), ("residual-2", 512))  # of the line that others are compared to


def stored(row: Row) -> float | None:
    """Code vectors that a model has to keep; None without a quantizer."""
    method, size = find_method(row["method"]), row["codebook_size"]
    if method.build is None:
        return None
    parts = method.build(size, method.latent_dim(size)).modules()
    return sum(part.size for part in parts if isinstance(part, Codebook))


def line_through(rows: Sequence[Row]) -> Callable[[float], float] | None:
    """Bits to squared error on the line, logarithmic in the error, from VQ to two residual stages."""
    ends = [[row for row in rows if (row["method"], row["codebook_size"]) == end] for end in ENDS]
    if not all(ends):
        return None
    (x, left), (z, right) = (
        (mean(row["bits_a_vector"] for row in end), math.log(mean(row["mse_from_bytes"] for row in end)))
        for end in ends
    )
    return lambda bits: math.exp(left + (bits - x) / (z - x) * (right - left))


def over_line(rows: Sequence[Row]) -> Column:
    """A column: how many per cent of squared error a row has above that line, at the row's own bits."""
    line = line_through(rows)

    def excess(row: Row) -> float | None:
        bits = row.get("bits_a_vector")
        return None if line is None or bits is None else 100 * (row["mse_from_bytes"] / line(bits) - 1)

    return Column("error above VQ - residual at these bits, %", excess, "{:+.1f}")


def per_pixel(row: Row) -> float | None:
    """Bits a pixel of the codes' file; None for a continuous bottleneck."""
    bits = row.get("bits_a_vector")
    return None if bits is None else bits / PIXELS_A_VECTOR


COLUMNS = (
    Column("bits a vector, measured", lambda row: row.get("bits_a_vector"), "{:.3f}"),
    Column("bits a pixel", per_pixel, "{:.3f}"),
    Column("MSE x 1e3", lambda row: 1e3 * row["mse"], "{:.3f}"),
    Column("from bytes", lambda row: _scaled(row, "mse_from_bytes"), "{:.3f}"),
    Column("code vectors", stored, "{:.0f}"),
    Column("perplexity", lambda row: row.get("perplexity"), "{:.0f}"),
    Column("usage", lambda row: row.get("usage"), "{:.2f}"),
    Column("bytes of codes", lambda row: row.get("bytes"), "{:.0f}"),
)

IN_SHORT = [
    column for column in COLUMNS if column.heading in ("bits a vector, measured", "MSE x 1e3", "code vectors")
]


def write_report(rows: Iterable[Row], folder: Path) -> None:
    """report.md, two plots a step budget, and the README's tables, from the rows alone."""
    parts, short = ["# Autoencoders at equal measured bits: the rows", ""], []
    for steps, found in group(rows, lambda row: str(row["steps"])).items():
        ordered = sorted(found, key=lambda row: (row.get("bits_a_vector") or 99, row["mse"]))
        groups = group(ordered, _label)
        title = f"CIFAR-10, {steps} steps of {found[0]['batch']}"
        times, line = step_columns(found, "vq-revive"), over_line(found)
        plot_points(groups, title, folder / f"rate-{steps}.png")
        plot_training(groups, title, folder / f"curves-{steps}.png")
        parts += [f"## {title}", "", table(groups, "method", (*COLUMNS, line, *times)), ""]
        parts += [f"![{title}](rate-{steps}.png)", "", f"![curves](curves-{steps}.png)", ""]
        short += [f"**{title}**", "", table(groups, "method", (*IN_SHORT, line, times[1])), ""]
    (folder / "report.md").write_text("\n".join(parts))
    fill_table(folder / "README.md", "\n".join(short))


def plot_points(groups: Mapping[str, list[Row]], title: str, path: Path) -> None:
    """Squared error over measured bits, a point a run that has bits."""
    labels = {"xlabel": "bits a vector, of whole files", "ylabel": "mean squared error, test", "title": title}
    with error_plot(path, **labels) as axes:
        axes.set_xlim(5, 24.5)  # with room for the names
        line = line_through([row for rows in groups.values() for row in rows])
        if line is not None:
            axes.plot(LINE, [line(bits) for bits in LINE], "--", color="grey")
        names: dict[float, list[tuple[float, float, str]]] = {at: [] for at in NAMES_AT}
        for label, rows in groups.items():
            points = [
                (row["bits_a_vector"], row["mse_from_bytes"]) for row in rows if row.get("bits_a_vector")
            ]
            if points:
                bits, errors = zip(*points, strict=True)
                ours = "SCQ" in label
                axes.plot(bits, errors, "D" if ours else "o", color="C3" if ours else "C0", alpha=0.8)
                names[NAMES_AT[mean(bits) > mean(LINE)]].append((mean(errors), mean(bits), label))
        for at, found in names.items():
            _name_points(axes, found, at)


def _name_points(axes: Axes, points: list[tuple[float, float, str]], at: float) -> None:
    """Names of (error, bits, name) in a column at these bits, as level with their points as text may be."""
    height = math.inf
    for error, bits, name in sorted(points, reverse=True):
        height = min(error, height / TEXT_LINE)
        axes.annotate(
            name,
            (bits, error),
            (at, height),
            fontsize=7,
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
            arrowprops={"arrowstyle": "-", "color": "grey", "linewidth": 0.4},
        )


def _label(row: Row) -> str:
    return f"{find_method(row['method']).title}, K = {row['codebook_size']}"


def _scaled(row: Row, name: str) -> float | None:
    return None if row.get(name) is None else 1e3 * row[name]
