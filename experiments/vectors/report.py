"""README.md and the plot, from the rows alone."""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from codec_report import codec_section
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from barycode.container import write_atomic
from barycode.images.steps import step_of

Rows = Sequence[dict[str, Any]]
CODINGS = ("histogram", "contexts")
VECTORS = ("1x2", "2x2")
PLOT = "vectors.png"
HEADER = """\
# Vectors against scalars on the codec's own coefficients

    python experiments/vectors/run.py --data FOLDER

The published configuration of soft-to-hard vector quantization (Agustsson et al. 2017: 2x2 spatial patches, a
thousand centers, a plain histogram) on the network that we ship, beside pairs (1x2, 256 centers) and scalars
(1x1, 61 centers). All are entropy-constrained in the same way: choices, integer tables and centers each lower
squared error + lambda x code length (lambda = {weight:g} squared steps a bit, the codec's own) over the same
training crops. Bytes come out of the range coder; tables and centers belong to the model and are not in them
(sizes below). "Contexts" are one table for each class of the scales that the codec's own integer networks
predict for a vector's members; in the first four luma slices half of the patches are coded with the other
half known, as the codec does with blocks. The contexts are read off the shipped encoder's scalar codes, for
every shape, so the vector rows with contexts are measured as if those codes had been decoded.
"""
LIMITS = """\
What this does not show: the analysis and the decoder were trained with scalars and stay as they are, so a
network trained together with its vectors may do better; four Kodak pictures and one
seed. The 50,000 training vectors a group (from 48 crops) are few for a thousand centers, and fewer for a
thousand centers under 40 tables: vectors that gain on the training vectors and lose on the test pictures are
short of data. The costs themselves do not compare between the two: the crops are smoother.
"""


def write_report(rows: Rows, rate_weight: float, folder: Path) -> None:
    """Write README.md and the plot into the folder."""
    parts = [
        HEADER.format(weight=rate_weight),
        _summary(rows, rate_weight),
        f"![Cost and curves]({PLOT})\n",
    ]
    parts += [_group_table(rows, index) for index in _indices(rows)]
    parts += [
        _cost_table(rows, rate_weight),
        _picture_table(rows),
        _choice_table(rows),
        codec_section(rows),
        LIMITS,
    ]
    write_atomic(folder / "README.md", "\n".join(parts).encode(), force=True)
    _plot(rows, folder / PLOT)


def total(rows: Rows, index: int, shape: str, coding: str, field: str = "cost") -> float:
    """Sum over the groups of a step: of bytes, or of a cost (in squared steps, over all coefficients)."""
    chosen = _groups(rows, index, shape, coding)
    weight = (lambda row: row["coefficients"]) if field.endswith("cost") else (lambda row: 1)
    return sum(row[field] * weight(row) for row in chosen)


def bytes_at_equal_error(rows: Rows, index: int, shape: str, coding: str, rate_weight: float) -> float:
    """What AC bytes become against scalars of the same coding, in percent: the difference of D + lambda R
    taken as bytes at the slope lambda.
    """
    difference = total(rows, index, shape, coding) - total(rows, index, "1x1", coding)
    return 100 * difference / (8 * rate_weight * total(rows, index, "1x1", coding, "bytes"))


def against_shipped(rows: Rows, row: dict[str, Any]) -> tuple[float, float]:
    """(dB, percent of bytes) of a picture's row against the shipped codec: at its bytes, and at its PSNR."""
    curve = sorted((r["bytes"], r["psnr"]) for r in _of(rows, "shipped") if r["picture"] == row["picture"])
    sizes, quality = np.log([size for size, _ in curve]), [psnr for _, psnr in curve]
    size = np.log(row["bytes"])
    shipped = float(np.interp(row["psnr"], quality, sizes))
    return row["psnr"] - float(np.interp(size, sizes, quality)), 100 * float(np.expm1(size - shipped))


def best_shape(rows: Rows, group: str, coding: str) -> str:
    """The shape of least relative cost, averaged over the steps."""
    ratios = {
        shape: _mean(_ratio(rows, i, shape, coding, group) for i in _indices(rows)) for shape in VECTORS
    }
    best = min(ratios, key=lambda shape: ratios[shape])
    return best if ratios[best] < 0 else "1x1"


def _summary(rows: Rows, rate_weight: float) -> str:
    sentences = []
    for index in _indices(rows):
        gains = {c: bytes_at_equal_error(rows, index, "2x2", c, rate_weight) for c in CODINGS}
        contexts = total(rows, index, "1x1", "contexts") - total(rows, index, "1x1", "histogram")
        worth = 100 * contexts / (8 * rate_weight * total(rows, index, "1x1", "histogram", "bytes"))
        whole = [against_shipped(rows, row) for row in _pictures(rows, index, "2x2")]
        sentences.append(
            f"At step {step_of(index):.0f}, 2x2 vectors of a thousand centers change the AC bytes at equal "
            f"error by {gains['histogram']:+.1f} % against scalars when both have a plain histogram, and by "
            f"{gains['contexts']:+.1f} % when both have contexts; giving contexts to the scalars is worth "
            f"{worth:+.1f} %. End to end the published configuration needs "
            f"{_mean(w for _, w in whole):+.0f} % bytes against the shipped codec at equal PSNR "
            f"({_mean(d for d, _ in whole):+.2f} dB at equal bytes)."
        )
    text = " ".join(sentences) + " (Negative percentages: fewer bytes.)"
    return textwrap.fill(text, 110, break_on_hyphens=False) + "\n"


def _group_table(rows: Rows, index: int) -> str:
    lines = [
        f"## Step {step_of(index):.0f}: D + lambda R against scalars of the same coding\n",
        "Also the real bytes of each, and how many of the thousand centers the test pictures use.\n",
        "| bands | 1x1 histogram | 2x2 histogram | 1x1 contexts | 2x2 contexts | used "
        "| 1x2 hist. | 2x2 hist. | 1x2 cont. | 2x2 cont. |",
        "|---|" + "--:|" * 9,
    ]
    for group in _names(rows):
        cells = [f"{_one(rows, index, s, c, group)['bytes']}" for c in CODINGS for s in ("1x1", "2x2")]
        cells.append(str(_one(rows, index, "2x2", "histogram", group)["used"]))
        cells += [f"{_ratio(rows, index, s, c, group):+.1f} %" for c in CODINGS for s in VECTORS]
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cost_table(rows: Rows, rate_weight: float) -> str:
    lines = [
        "## All AC bands: bytes, and what they become at equal error\n",
        "The last two columns are D + lambda R in squared steps a coefficient, x 1000.\n",
        "| step | coding | shape | bytes | tables + centers | against scalars at equal error "
        "| cost, test | cost, training |",
        "|--:|---|---|--:|--:|--:|--:|--:|",
    ]
    for index in _indices(rows):
        count = total(rows, index, "1x1", "histogram", "coefficients")
        for coding in CODINGS:
            for shape in ("1x1", *VECTORS):
                size, tables, centers, cost, training = (
                    total(rows, index, shape, coding, field)
                    for field in ("bytes", "table_bytes", "codebook_bytes", "cost", "training_cost")
                )
                gain = bytes_at_equal_error(rows, index, shape, coding, rate_weight)
                lines.append(
                    f"| {step_of(index):.0f} | {coding} | {shape} | {size:.0f} | {tables + centers:.0f} "
                    f"| {gain:+.1f} % | {1000 * cost / count:.3f} | {1000 * training / count:.3f} |"
                )
    return "\n".join(lines) + "\n"


def _picture_table(rows: Rows) -> str:
    lines = [
        "## Whole pictures: a histogram for each group, DC by the codec's own lattice\n",
        "Decoded by the shipped decoder (in brackets: by the inverse lapped transform alone). The shipped "
        "codec is shown at its nearest bytes; the last columns interpolate between its settings.\n",
        "| step | picture | shape | bytes | PSNR | shipped: bytes | PSNR "
        "| dB at equal bytes | bytes at equal PSNR |",
        "|--:|---|---|" + "--:|" * 6,
    ]
    for row in sorted(_of(rows, "picture"), key=lambda r: (-r["index"], r["picture"], r["shape"])):
        shipped = [r for r in _of(rows, "shipped") if r["picture"] == row["picture"]]
        near = min(shipped, key=lambda r: abs(np.log(r["bytes"] / row["bytes"])))
        gain, more = against_shipped(rows, row)
        lines.append(
            f"| {step_of(row['index']):.0f} | {row['picture']} | {row['shape']} | {row['bytes']} "
            f"| {row['psnr']:.2f} ({row['psnr_transform']:.2f}) | {near['bytes']} | {near['psnr']:.2f} "
            f"| {gain:+.2f} | {more:+.1f} % |"
        )
    return "\n".join(lines) + "\n"


def _choice_table(rows: Rows) -> str:
    lines = [
        "## The dimension to use\n",
        "The shape of least D + lambda R on the test pictures, the steps weighing the same; 1x1 unless a "
        "vector is better.\n",
        "| bands | with a histogram | with contexts |",
        "|---|---|---|",
    ]
    lines += [
        f"| {group} | {best_shape(rows, group, 'histogram')} | {best_shape(rows, group, 'contexts')} |"
        for group in _names(rows)
    ]
    return "\n".join(lines) + "\n"


def _plot(rows: Rows, path: Path) -> None:
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = _names(rows)
    for index, style in zip(_indices(rows), ("-", "--"), strict=False):
        for coding, colour in zip(CODINGS, ("tab:orange", "tab:blue"), strict=True):
            ratios = [_ratio(rows, index, "2x2", coding, name) for name in names]
            label = f"{coding}, step {step_of(index):.0f}"
            left.plot(names, ratios, style, marker="o", markersize=3, color=colour, label=label)
    left.axhline(0, color="grey", linewidth=0.8)
    left.tick_params(axis="x", rotation=60)
    left.set(title="2x2 vectors against scalars, D + lambda R (%)")
    left.legend()
    curves = {"shipped codec": _curve(_of(rows, "shipped"))}
    curves |= {
        f"{shape}, histogram": _curve([r for r in _of(rows, "picture") if r["shape"] == shape])
        for shape in ("1x1", *VECTORS)
    }
    for label, points in curves.items():
        right.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
    right.set(title="Whole pictures", xlabel="bits per pixel", ylabel="PSNR (dB), mean of the pictures")
    right.grid(alpha=0.3)
    right.legend()
    FigureCanvasAgg(figure).print_png(str(path))


def _curve(rows: Rows) -> list[tuple[float, float]]:
    points = []
    for index in _indices(rows):
        same = [row for row in rows if row["index"] == index]
        points.append((_mean(8 * r["bytes"] / r["pixels"] for r in same), _mean(r["psnr"] for r in same)))
    return points


def _of(rows: Rows, kind: str) -> Rows:
    return [row for row in rows if row["kind"] == kind]


def _groups(rows: Rows, index: int, shape: str, coding: str) -> Rows:
    key = (index, shape, coding)
    return [r for r in _of(rows, "group") if (r["index"], r["shape"], r["coding"]) == key]


def _pictures(rows: Rows, index: int, shape: str) -> Rows:
    return [r for r in _of(rows, "picture") if (r["index"], r["shape"]) == (index, shape)]


def _one(rows: Rows, index: int, shape: str, coding: str, group: str) -> dict[str, Any]:
    return next(row for row in _groups(rows, index, shape, coding) if row["group"] == group)


def _ratio(rows: Rows, index: int, shape: str, coding: str, group: str) -> float:
    costs = [_one(rows, index, s, coding, group)["cost"] for s in (shape, "1x1")]
    return 100 * (costs[0] / costs[1] - 1)


def _names(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["group"] for row in _of(rows, "group")))


def _indices(rows: Rows) -> list[int]:
    """Coarse steps first: those of the groups, or of whatever rows are given without any."""
    return sorted({row["index"] for row in _of(rows, "group") or rows}, reverse=True)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
