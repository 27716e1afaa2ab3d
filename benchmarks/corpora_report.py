"""The tables and the figure of the page that plans a billion pictures, from benchmarks/results/corpora.json.

python benchmarks/corpora_report.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from barycode.experiments.document_tables import fill_table

RESULTS = Path(__file__).parent / "results" / "corpora.json"
PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "billion-pictures.md"
PLOT = PAGE.with_name("throughput.png")
PICTURES = 1e9
CORES = 64  # of a machine that is reckoned with
HOUR = 3600
Content = dict[str, Any]


def main() -> None:
    content = json.loads(RESULTS.read_text())
    fill_table(PAGE, _throughput(content), "throughput")
    fill_table(PAGE, _needs(content), "needs")
    fill_table(PAGE, _driver(content), "driver")
    _plot(content["rows"], PLOT)


def _throughput(content: Content) -> str:
    rows = [
        [
            f"`--engine {row['engine']} --workers {row['workers']}`",
            "{:.2f} s [{:.2f}, {:.2f}]".format(*row["processor_seconds"]),
            f"{row['workers'] / row['processor_seconds'][0]:.1f}",
            "{:.0f} s [{:.0f}, {:.0f}]".format(*row["seconds"]),
        ]
        for row in content["rows"]
    ]
    header = ["command", "a worker's processor time for one", "pictures a second, if it has a CPU", "the run"]
    told = (
        f"{content['rows'][0]['samples']} pictures of 768 x 512 ({content['megapixels']:.1f} megapixels, "
        f"{content['rows'][0]['bytes_in'] / 1e6:.1f} MB of PNG), effort {content['effort']}, "
        f"{content['cpus']} CPUs ({content['processor']}) on which others worked, too; medians and "
        f"quartiles of {content['rounds']} rounds that take turns:"
    )
    return f"\n{told}\n\n{_table(header, rows)}\n"


def _needs(content: Content) -> str:
    """By the dearest of the measured workers, who have neighbours as they would have in a cluster."""
    row = max(content["rows"], key=lambda r: r["processor_seconds"][0])
    each = row["processor_seconds"][0]
    hours = PICTURES * each / HOUR
    machines = hours / CORES / 24
    read, written = (PICTURES * row[name] / row["samples"] for name in ("bytes_in", "bytes_out"))
    rows = [
        ["a worker's time for one picture, the dearest above", f"{each:.2f} s"],
        ["CPU hours", f"{hours:,.0f}"],
        [f"days of one machine of {CORES} CPUs", f"{machines:,.0f}"],
        [f"machines of {CORES} CPUs, to be done in a week", f"{machines / 7:,.1f}"],
        ["memory of such a machine for its workers", f"{CORES * content['worker_megabytes'] / 1024:,.0f} GB"],
        ["to read (PNG, as measured)", f"{read / 1e12:,.0f} TB; {read / 7 / 24 / HOUR / 1e9:.1f} GB/s"],
        ["to write", f"{written / 1e12:,.1f} TB; {written / 7 / 24 / HOUR / 1e6:.0f} MB/s"],
    ]
    return f"\n{_table(['a billion pictures of 768 x 512', ''], rows)}\n"


def _driver(content: Content) -> str:
    plan = content["plan"]
    files, shards = PICTURES / plan["files"], 1e6 / plan["shards"]
    rows = [
        [
            f"to list and plan {plan['files']:,} files",
            f"{plan['plan_seconds']:.1f} s",
            f"{plan['plan_seconds'] * files / HOUR:.1f} hours",
        ],
        [
            "memory meanwhile",
            f"{plan['plan_megabytes']:.0f} MB",
            f"{plan['plan_megabytes'] * files / 1e6:.1f} TB",
        ],
        ["`plan.jsonl`", f"{plan['plan_bytes'] / 1e6:.0f} MB", f"{plan['plan_bytes'] * files / 1e9:.0f} GB"],
        [
            f"to go on: {plan['shards']:,} shards' records, and the files again",
            f"{plan['resume_seconds']:.1f} s",
            f"{plan['resume_seconds'] * max(files, shards) / HOUR:.1f} hours",
        ],
    ]
    return f"\n{_table(['what', 'measured', 'times as many for a billion files'], rows)}\n"


def _plot(rows: list[Content], path: Path) -> None:
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for engine in sorted({row["engine"] for row in rows}):
        chosen = sorted((r for r in rows if r["engine"] == engine), key=lambda r: r["workers"])
        workers = [row["workers"] for row in chosen]
        rates = [row["workers"] / row["processor_seconds"][0] for row in chosen]
        axes.plot(workers, rates, marker="o", label=f"--engine {engine}")
    axes.plot(
        workers,
        [rates[0] * count / workers[0] for count in workers],
        ":",
        color="grey",
        label="in proportion",
    )
    axes.set(
        xlabel="workers",
        ylabel="pictures of 768 x 512 a second,\na CPU a worker",
        ylim=(0, None),
        xticks=workers,
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
