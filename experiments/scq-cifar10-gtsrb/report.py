"""Tables and plots of the rows; the README's text around them is written by hand."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from barycode.experiments.autoencoder_report import (
    Column,
    group,
    plot_seconds,
    plot_training,
    step_columns,
    table,
)
from barycode.experiments.document_tables import fill_table
from barycode.experiments.results import Row
from barycode.experiments.sweep import recipe_of
from barycode.training.autoencoders.methods import find_method

TITLES = {"cifar10": "CIFAR-10", "gtsrb": "GTSRB"}
COLUMNS = (
    Column("MSE x 1e3", lambda row: 1e3 * row["mse"], "{:.3f}"),
    Column("MSE / variance", lambda row: row["mse_over_variance"], "{:.4f}"),
    Column("quantization error x 1e3", lambda row: _scaled(row, "quantization_error"), "{:.3g}"),
    Column("/ latents' variance", lambda row: row.get("quantization_error_over_variance"), "{:.2g}"),
    Column("perplexity, nearest code", lambda row: row.get("perplexity"), "{:.0f}"),
    Column("of mean weights", lambda row: row.get("perplexity_of_weights"), "{:.0f}"),
    Column("usage", lambda row: row.get("usage"), "{:.2f}"),
    Column("bits a vector", lambda row: row.get("bits_a_vector"), "{:.2f}"),
)
IN_SHORT = [column for column in COLUMNS if column.heading not in ("MSE / variance", "bits a vector")]
FEW = 2  # methods, which need no picture over seconds
RATIOS = ("mse", "quantization_error", "quantization_error_over_variance")


def write_report(rows: Iterable[Row], folder: Path) -> None:
    """report.md, a plot a data set, and the README's tables, from the rows alone."""
    parts, short = ["# Soft Convex Quantization at equal K: the rows", ""], []
    for label, found in _sets(rows).items():
        groups = group(found, lambda row: find_method(row["method"]).title)
        title = f"{label}, K = {found[0]['codebook_size']}"
        plot = f"{_plot_name(found[0])}.png"
        times = step_columns(found, "vq-ema")
        plot_training(groups, title, folder / plot)
        parts += [
            f"## {title}",
            "",
            table(groups, "method", (*COLUMNS, *times)),
            "",
            *_ratios(groups),
            f"![{title}]({plot})",
            "",
        ]
        if len(groups) > FEW:
            plot_seconds(groups, title, folder / f"seconds-{plot}")
            parts += [f"![the same over seconds](seconds-{plot})", ""]
        short += [f"**{title}**", "", table(groups, "method", (*IN_SHORT, times[1])), "", *_ratios(groups)]
    (folder / "report.md").write_text("\n".join(parts))
    fill_table(folder / "README.md", "\n".join(short))


def _sets(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows that may be compared: of one data set, step budget and start; the best first."""
    ordered = sorted(
        rows, key=lambda row: (row["data"], row["steps"], not recipe_of(row).transform, row["mse"])
    )
    return group(ordered, _set_title)


def _set_title(row: Row) -> str:
    start = "" if recipe_of(row).transform else ", from random weights"
    return f"{TITLES[row['data']]}, {row['steps']} steps of {row['batch']}{start}"


def _plot_name(row: Row) -> str:
    return f"{row['data']}-{row['steps']}" + ("" if recipe_of(row).transform else "-random")


def _ratios(groups: Mapping[str, list[Row]]) -> list[str]:
    """A table of SCQ over each VQ-VAE, for the figures that the paper compares."""
    lines = []
    for convex in ("scq-exact", "scq-splitting-1", "scq-relaxed"):
        for plain in ("vq", "vq-ema", "vq-revive"):
            over, under = (groups.get(find_method(name).title) for name in (convex, plain))
            if over and under:
                cells = [_fraction(_mean(over, name), _mean(under, name)) for name in RATIOS]
                label = f"{find_method(convex).title} over {find_method(plain).title}"
                lines.append(f"| {' | '.join([label, *cells])} |")
    return (
        ["| | MSE | quantization error | / variance |", "| --- | --- | --- | --- |", *lines, ""]
        if lines
        else []
    )


def _fraction(over: float, under: float) -> str:
    """A ratio as people say it: 1/113, or 3.5."""
    return f"1/{under / over:.0f}" if under >= 2 * over else f"{over / under:.2f}"


def _mean(rows: list[Row], name: str) -> float:
    return sum(row[name] for row in rows) / len(rows)


def _scaled(row: Row, name: str) -> float | None:
    return None if row.get(name) is None else 1e3 * row[name]
