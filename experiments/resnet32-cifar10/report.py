"""The table and the plot."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from barycode.experiments.document_tables import fill_table

FLOAT_ACCURACY = 92.63


def write_report(results: Sequence[Any], folder: Path) -> None:
    """Fill the table of the README and draw accuracy against bytes."""
    if not results:
        return
    fill_table(folder / "README.md", f"{table(results)}\n\n{over_seeds(results)}")
    draw(results, folder / "accuracy-against-bytes.png")


def table(results: Sequence[Any]) -> str:
    """Rows by method, in the order of the ladder, then by size."""
    order = list(dict.fromkeys(result.method for result in results))
    lines = [
        "| method | bytes | ratio | test accuracy | drop | seed | minutes of training |",
        "|" + "---|" * 7,
    ]
    for row in sorted(results, key=lambda r: (order.index(r.method), -r.bytes)):
        seed = "" if row.seed is None else str(row.seed)
        cells = (
            row.method,
            f"{row.bytes:,}",
            f"{row.ratio:.2f}",
            f"{row.accuracy:.2f} %",
            f"{FLOAT_ACCURACY - row.accuracy:.2f}",
            seed,
            f"{row.minutes:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def over_seeds(results: Sequence[Any]) -> str:
    """Mean and standard deviation of what was run with several seeds."""
    groups: dict[str, list[Any]] = {}
    for row in results:
        run, marked, _ = row.key.rpartition("-seed")
        if marked:
            groups.setdefault(run, []).append(row)
    return "\n".join(
        f"{rows[0].method}, {len(rows)} seeds: {mean(r.ratio for r in rows):.2f} times smaller at "
        f"{mean(r.accuracy for r in rows):.2f} % (standard deviation {stdev(r.accuracy for r in rows):.2f}), "
        f"a drop of {FLOAT_ACCURACY - mean(r.accuracy for r in rows):.2f} points."
        for rows in groups.values()
        if len(rows) > 1
    )


def draw(results: Sequence[Any], path: Path) -> None:
    mpl.use("agg")
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    for i, method in enumerate(dict.fromkeys(result.method for result in results)):
        points = sorted((row.bytes / 1000, row.accuracy) for row in results if row.method == method)
        ours = method.startswith("Barycode")
        style = {"linewidth": 2.5 if ours else 1, "marker": "o" if ours else "sv^<>dpxP*"[i % 10]}
        axes.plot(*zip(*points, strict=True), label=method, **style)
    axes.axhline(FLOAT_ACCURACY, color="gray", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", ylim=(87, 93), xlabel="file, thousands of bytes", ylabel="test accuracy, per cent")
    axes.set_title("ResNet-32 on CIFAR-10 (float32: 1,857 thousand bytes, 92.63 %)")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
