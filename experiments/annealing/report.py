"""README.md and the plot, from the logs and the held-out losses alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from barycode.container import write_atomic

Log = Sequence[dict[str, float]]
PLOT = "annealing.png"
HEADER = """\
# How sigma grows: none, exponential, gap-controlled

    python experiments/annealing/run.py --data FOLDER

The joint stage of the picture codec (soft-to-hard choice among an encoder's candidate codes, exponent
-sigma (squared error + lambda x bits)) from the shipped photo model, {steps} steps an arm of two crops of
96 x 96, learning rate 1e-4 (the analysis 1e-5), the same crops and quantization steps for all arms. `none`
keeps sigma, `exponential` multiplies it by a constant from 4 to 24, `gap` follows
sigma + K (gap - T / (T + t) gap(0)). `frozen` is the control at equal budget: the analysis stays, the codes
are hard (sigma {hard:g}), decoder and contexts train on.

Loss is D + lambda R, relative to what the plain transform leaves at a step; the gap is
loss(hard) - loss(soft) of the same batch. Held-out crops are from pictures that were held out when the start
was trained.
"""
LIMITS = """\
What this does not show: one seed, a small budget on one core, and a start that had been trained with hard
codes for long, on larger crops: what every arm gains over the start is in part the borders of small
crops, and only differences between arms tell of the annealing. Rates are code lengths under the Laplacian
prior of the contexts, not bytes.
"""


def write_report(results: Mapping[str, Mapping[str, float]], logs: Mapping[str, Log], folder: Path) -> None:
    """Write README.md and the plot into the folder."""
    steps = max(len(log) for log in logs.values())
    parts = [HEADER.format(steps=steps, hard=1e4), _held_out(results), _gaps(logs)]
    parts += [f"![Losses and gap]({PLOT})\n", LIMITS]
    write_atomic(folder / "README.md", "\n".join(parts).encode(), force=True)
    _plot(logs, folder / PLOT)


def _held_out(results: Mapping[str, Mapping[str, float]]) -> str:
    start = results["start"]
    lines = [
        "## loss(hard) on held-out crops\n",
        "Against the start in percent; negative is better.\n",
        "| arm | " + " | ".join(f"step {step}" for step in start) + " |",
        "|---|" + "--:|" * len(start),
        "| start | " + " | ".join(f"{loss:.4f}" for loss in start.values()) + " |",
    ]
    for name, losses in results.items():
        if name != "start":
            changes = (f"{100 * (loss / start[step] - 1):+.2f} %" for step, loss in losses.items())
            lines.append(f"| {name} | " + " | ".join(changes) + " |")
    return "\n".join(lines) + "\n"


def _gaps(logs: Mapping[str, Log]) -> str:
    lines = [
        "## The gap through training\n",
        "Means over the first and the last fifth of the steps.\n",
        "| arm | gap, first | gap, last | sigma, first | sigma, last |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, log in logs.items():
        part = max(1, len(log) // 5)
        first, last = (np.mean([r["hard"] - r["soft"] for r in rows]) for rows in (log[:part], log[-part:]))
        lines.append(
            f"| {name} | {first:+.4f} | {last:+.4f} | {log[0]['sigma']:g} | {log[-1]['sigma']:.3g} |"
        )
    return "\n".join(lines) + "\n"


def _plot(logs: Mapping[str, Log], path: Path) -> None:
    figure = Figure(figsize=(13, 4), layout="constrained")
    losses, gaps, sigmas = figure.subplots(1, 3)
    for number, (name, log) in enumerate(logs.items()):
        colour, steps = f"C{number}", [row["step"] for row in log]
        for field, style in (("hard", "-"), ("soft", "--")):
            values = _smooth([row[field] for row in log])
            losses.plot(steps, values, style, color=colour, label=f"{name}, {field}")
        gaps.plot(steps, _smooth([row["hard"] - row["soft"] for row in log]), color=colour, label=name)
        if name != "frozen":
            sigmas.plot(steps, [row["sigma"] for row in log], color=colour, label=name)
    gaps.axhline(0, color="grey", linewidth=0.8)
    for axes, title in ((losses, "loss"), (gaps, "loss(hard) - loss(soft)"), (sigmas, "sigma")):
        axes.set(title=title, xlabel="training step")
        axes.legend(fontsize=7)
    FigureCanvasAgg(figure).print_png(str(path))


def _smooth(values: Sequence[float], width: int = 15) -> np.ndarray:
    """Means over the last `width` steps."""
    sums = np.cumsum([0.0, *values])
    ends = np.arange(1, len(sums))
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)
