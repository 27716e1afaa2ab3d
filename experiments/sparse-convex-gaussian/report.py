"""README.md and the plot, from the rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from barycode.container import write_atomic

Rows = Sequence[dict[str, Any]]
PLOT = "sparse-convex-gaussian.png"
DIM, VECTORS = 4, 100_000
HEADER = """\
# Sparse convex codes of a Gaussian source

    python experiments/sparse-convex-gaussian/run.py

100,000 vectors of 4 independent unit Gaussians; codebooks fitted on 100,000 others. A sparse convex code is
at most s of K code vectors with weights that are multiples of 1/L; its codebook is fitted by least squares to
its own code, 20 times, from k-means. VQ is k-means; residual and product codes are k-means stage by stage and
group by group. "Bits" are those of whole files a vector: header, tables and coded symbols; every family is
entropy coded. Codebooks are not in them, since many files share one: their size stands beside.
"""
LIMITS = """\
What it says: with two vectors (s = 2) a sparse convex code has less error than a residual code of the same
rate, from half the vectors. It comes within a fraction of a decibel of plain VQ at high rates, where its
codebook is {saving} times smaller (and plain VQ's table of frequencies begins to weigh). More vectors on a
coarse grid do not pay here. Product codes do better: components are independent, and a product code knows
that. Uniform scalars with an entropy coder beat every code that was designed for equally likely symbols. What
it does not say: independent Gaussians have no structure to learn. The bound is Shannon's D = 2^(-2R/d). One
seed.
"""


def write_report(rows: Rows, folder: Path) -> None:
    """Write README.md and the plot into the folder."""
    parts = [
        HEADER,
        f"![Squared error over bits]({PLOT})\n",
        _table(rows),
        LIMITS.format(saving=_saving(rows)),
    ]
    write_atomic(folder / "README.md", "\n".join(parts).encode(), force=True)
    _plot(rows, folder / PLOT)


def bound(bits: float) -> float:
    """The least squared error a component that any code of so many bits a vector can have."""
    return float(2 ** (-2 * bits / DIM))


def _saving(rows: Rows) -> int:
    sizes = {(row["family"], row["setting"]): row["codebook_bytes"] for row in rows}
    return round(sizes["VQ", "K 4096"] / sizes["sparse s=2 L=3", "K 64"])


def _table(rows: Rows) -> str:
    lines = [
        "| family | setting | bits a vector | MSE | dB above the bound | codebook, bytes |",
        "|" + "---|" * 6,
    ]
    for row in sorted(rows, key=lambda row: row["bits"]):
        above = 10 * log10(row["mse"] / bound(row["bits"]))
        cells = (row["family"], row["setting"], f"{row['bits']:.2f}", f"{row['mse']:.4f}", f"{above:.2f}")
        lines.append("| " + " | ".join((*cells, f"{row['codebook_bytes']:,}")) + " |")
    return "\n".join(lines) + "\n"


def _plot(rows: Rows, path: Path) -> None:
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for family in dict.fromkeys(row["family"] for row in rows):
        chosen = sorted((row for row in rows if row["family"] == family), key=lambda row: row["bits"])
        bits = [row["bits"] for row in chosen]
        above = [10 * log10(row["mse"] / bound(row["bits"])) for row in chosen]
        width = 2.4 if family.startswith("sparse") else 1.3
        axes.plot(bits, above, marker="o", markersize=4, linewidth=width, label=family)
    axes.set(
        xlabel="bits a vector (whole files without codebooks)",
        ylabel="squared error above Shannon's bound (dB)",
        title="Four independent Gaussians",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
