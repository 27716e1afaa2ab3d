"""Table and plot of the rows; the README's text around them is written by hand."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from barycode.evaluation.campaign_report import (
    Column,
    color,
    error_plot,
    group,
    plot_training,
    step_columns,
    table,
)
from barycode.evaluation.marks import fill
from barycode.training.autoencoders.methods import find_method

Row = Mapping[str, Any]
PIXELS_A_VECTOR = 16


def per_pixel(row: Row) -> float | None:
    """Bits a pixel of the codes' file; None for a continuous bottleneck."""
    bits = row.get("bits_a_vector")
    return None if bits is None else bits / PIXELS_A_VECTOR


COLUMNS = (
    Column("bits a vector, measured", lambda row: row.get("bits_a_vector"), "{:.3f}"),
    Column("bits a pixel", per_pixel, "{:.3f}"),
    Column("MSE x 1e3", lambda row: 1e3 * row["mse"], "{:.3f}"),
    Column("from bytes", lambda row: _scaled(row, "mse_from_bytes"), "{:.3f}"),
    Column("perplexity", lambda row: row.get("perplexity"), "{:.0f}"),
    Column("usage", lambda row: row.get("usage"), "{:.2f}"),
    Column("bytes of codes", lambda row: row.get("bytes"), "{:.0f}"),
)

IN_SHORT = [
    column for column in COLUMNS if column.heading in ("bits a vector, measured", "MSE x 1e3", "usage")
]


def write_report(rows: Iterable[Row], folder: Path) -> None:
    """report.md, two plots a step budget, and the README's tables, from the rows alone."""
    parts, short = ["# Autoencoders at equal measured bits: the rows", ""], []
    for steps, found in group(rows, lambda row: str(row["steps"])).items():
        ordered = sorted(found, key=lambda row: (row.get("bits_a_vector") or 99, row["mse"]))
        groups = group(ordered, _label)
        title = f"CIFAR-10, {steps} steps of {found[0]['batch']}"
        times = step_columns(found, "vq-revive")
        plot_points(groups, title, folder / f"rate-{steps}.png")
        plot_training(groups, title, folder / f"curves-{steps}.png")
        parts += [
            f"## {title}",
            "",
            table(groups, "method", (*COLUMNS, *times)),
            "",
        ]
        parts += [f"![{title}](rate-{steps}.png)", "", f"![curves](curves-{steps}.png)", ""]
        short += [f"**{title}**", "", table(groups, "method", (*IN_SHORT, times[1])), ""]
    (folder / "report.md").write_text("\n".join(parts))
    fill(folder / "README.md", "\n".join(short))


def plot_points(groups: Mapping[str, list[Row]], title: str, path: Path) -> None:
    """Squared error over measured bits, a point a run that has bits."""
    labels = {"xlabel": "bits a vector, of whole files", "ylabel": "mean squared error, test", "title": title}
    with error_plot(path, **labels) as axes:
        for number, (label, rows) in enumerate(groups.items()):
            points = [
                (row["bits_a_vector"], row["mse_from_bytes"]) for row in rows if row.get("bits_a_vector")
            ]
            if points:
                axes.plot(*zip(*points, strict=True), "o", color=color(number), label=label)


def _label(row: Row) -> str:
    return f"{find_method(row['method']).title}, K = {row['codebook_size']}"


def _scaled(row: Row, name: str) -> float | None:
    return None if row.get(name) is None else 1e3 * row[name]
