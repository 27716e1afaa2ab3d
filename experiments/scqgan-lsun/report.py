"""Table and plots of the rows; the README's text around them is written by hand."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from barycode.evaluation.campaign_report import Column, color, error_plot, group, plot_training, table
from barycode.training.autoencoders.methods import find_method

Row = Mapping[str, Any]


def milliseconds(row: Row) -> float | None:
    """Of a training step; from the whole run where steps were not timed in turns."""
    return 1e3 * row["step_seconds"] if "step_seconds" in row else 1e3 * row["train_seconds"] / row["steps"]


COLUMNS = (
    Column("MSE x 1e3", lambda row: 1e3 * row["mse"], "{:.3f}"),
    Column("MS-SSIM, 3 scales", lambda row: row["ms_ssim_3"], "{:.4f}"),
    Column("feature distance", lambda row: row["feature_distance"], "{:.4f}"),
    Column("perplexity of mean weights", lambda row: row.get("perplexity_of_weights"), "{:.0f}"),
    Column("bits a vector", lambda row: row.get("bits_a_vector"), "{:.2f}"),
    Column("step, ms", milliseconds, "{:.0f}"),
)


def write_report(rows: Iterable[Row], folder: Path) -> None:
    """report.md and plots over steps and over seconds, from the rows alone."""
    parts = ["# SCQGAN and VQGAN on LSUN bedrooms: the rows", ""]
    for steps, found in group(rows, lambda row: str(row["steps"])).items():
        groups = group(found, lambda row: find_method(row["method"]).title)
        title = f"LSUN bedrooms 64x64, {steps} steps of {found[0]['batch']}"
        plot_training(groups, title, folder / f"steps-{steps}.png")
        plot_seconds(groups, title, folder / f"seconds-{steps}.png")
        parts += [f"## {title}", "", table(groups, "method", COLUMNS), ""]
        parts += [f"![steps](steps-{steps}.png)", "", f"![seconds](seconds-{steps}.png)", ""]
        parts += ["originals:", "", "![originals](pictures/originals.png)", ""]
        for row in found:
            parts += [f"{row['name']}:", "", f"![reconstructions](pictures/{row['name']}.png)", ""]
    (folder / "report.md").write_text("\n".join(parts))


def plot_seconds(groups: Mapping[str, list[Row]], title: str, path: Path) -> None:
    """Squared error on the pictures held out over training time."""
    labels = {"xlabel": "seconds of training", "ylabel": "mean squared error, held out", "title": title}
    with error_plot(path, **labels) as axes:
        for number, (label, rows) in enumerate(groups.items()):
            for row in rows:
                seconds = [step * (milliseconds(row) or 0) / 1e3 for step, _ in row["curve"]]
                axes.plot(seconds, [error for _, error in row["curve"]], color=color(number))
            axes.plot([], [], color=color(number), label=label)
