"""Table, plots and pictures of the rows; the README's text around them is written by hand."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from barycode.evaluation.side_by_side import Panel, side_by_side
from barycode.experiments.autoencoder_report import (
    Column,
    group,
    plot_seconds,
    plot_training,
    step_columns,
    table,
)
from barycode.experiments.document_tables import fill_table
from barycode.training.autoencoders.methods import find_method

Row = Mapping[str, Any]
COLUMNS = (
    Column("MSE x 1e3", lambda row: 1e3 * row["mse"], "{:.3f}"),
    Column("MS-SSIM, 3 scales", lambda row: row["ms_ssim_3"], "{:.4f}"),
    Column("feature distance", lambda row: row["feature_distance"], "{:.4f}"),
    Column("perplexity of mean weights", lambda row: row.get("perplexity_of_weights"), "{:.0f}"),
    Column("bits a vector", lambda row: row.get("bits_a_vector"), "{:.2f}"),
)
ZOOM = 2


def write_report(rows: Iterable[Row], folder: Path) -> None:
    """report.md, plots over steps and over seconds, a sheet of pictures, and the README's tables.

    From the rows and the strips of pictures alone.
    """
    parts, short = ["# SCQGAN and VQGAN on LSUN bedrooms: the rows", ""], []
    for steps, found in group(rows, lambda row: str(row["steps"])).items():
        groups = group(sorted(found, key=lambda row: row["mse"]), _title)
        title = f"LSUN bedrooms 64x64, {steps} steps of {found[0]['batch']}"
        columns = (*COLUMNS, *step_columns(found, "vq-ema"))
        plot_training(groups, title, folder / f"steps-{steps}.png")
        plot_seconds(groups, title, folder / f"seconds-{steps}.png")
        parts += [f"## {title}", "", table(groups, "method", columns), ""]
        parts += [f"![steps](steps-{steps}.png)", "", f"![seconds](seconds-{steps}.png)", ""]
        sheet(groups, folder / "pictures").save(folder / f"pictures-{steps}.png", optimize=True)
        parts += [f"![reconstructions](pictures-{steps}.png)", ""]
        short += [f"**{title}**", "", table(groups, "method", columns), ""]
    (folder / "report.md").write_text("\n".join(parts))
    fill_table(folder / "README.md", "\n".join(short))


def sheet(groups: Mapping[str, list[Row]], folder: Path) -> Image.Image:
    """The originals and what the first seed of each method makes of them, a line each."""
    strips = {"originals": "originals"}
    strips |= {_caption(label, rows): _first(rows)["name"] for label, rows in groups.items()}
    lines = []
    for caption, name in strips.items():
        with Image.open(folder / f"{name}.png") as strip:
            size = (ZOOM * strip.width, ZOOM * strip.height)
            lines.append([Panel(strip.resize(size, Image.Resampling.NEAREST), caption)])
    return side_by_side(lines)


def _title(row: Row) -> str:
    """Of a method, under a discriminator."""
    return find_method(row["method"]).title.replace("VQ-VAE", "VQGAN").replace("SCQ ", "SCQGAN ")


def _caption(label: str, rows: list[Row]) -> str:
    row = _first(rows)
    bits = row.get("bits_a_vector")
    return f"{label}: MSE {row['mse']:.4f}" + (f", {bits:.1f} bits a vector" if bits else "")


def _first(rows: list[Row]) -> Row:
    return min(rows, key=lambda row: row["seed"])
