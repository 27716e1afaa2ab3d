"""benchmarks/README.md and its plot, from the rows in benchmarks/results.

python benchmarks/report.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PLOT = "quantizer_layers.png"
Row = dict[str, Any]
HEADER = """\
# Speed, beside other libraries

    python benchmarks/peers.py
    .venv-peers/bin/python benchmarks/assignment.py --output benchmarks/results/assignment.json
    .venv-peers/bin/python benchmarks/kmeans.py --threads 2 --output benchmarks/results/kmeans.json
    .venv-peers/bin/python benchmarks/convex_program.py --output benchmarks/results/convex_program.json
    .venv-peers-qpth/bin/python benchmarks/convex_program.py --output benchmarks/results/qpth.json
    .venv-peers/bin/python benchmarks/quantizer_layers.py --output benchmarks/results/quantizer_layers.json
    python benchmarks/pictures.py --output benchmarks/results/pictures.json
    python benchmarks/start_up.py --output benchmarks/results/start_up.json
    python benchmarks/weights.py --megabytes 40 --output benchmarks/results/weights.json
    python benchmarks/weights_memory.py --output benchmarks/results/weights_memory.json
    .venv-peers-networks/bin/python benchmarks/weights_lossless.py \\
        --megabytes 40 --output benchmarks/results/weights_lossless.json
    python benchmarks/corpora.py --copies 12 --output benchmarks/results/corpora.json
    python benchmarks/corpora_report.py  # its tables are in docs/how-to/billion-pictures.md
    python benchmarks/report.py

Ratios are medians over rounds in which every method has its turn in one process, lower and upper quartile in
brackets: they hold on a busy machine, and these were measured on one. Absolute times are only a guide.
`barycode bench pictures`, `quantizers`, `nearest`, `networks` and `start-up` measure such tables on your
machine, beside those other libraries that are installed there.
"""


def main() -> None:
    """Write whatever there are results for."""
    parts = [HEADER]
    for name, section in (
        ("convex_program", _program),
        ("qpth", _program),
        ("quantizer_layers", _layers),
        ("assignment", _assignment),
        ("kmeans", _kmeans),
        ("pictures", _pictures),
        ("start_up", _start_up),
        ("weights", _weights),
        ("weights_memory", _weights_memory),
        ("weights_lossless", _weights_lossless),
    ):
        path = RESULTS / f"{name}.json"
        if path.exists():
            parts.append(section(json.loads(path.read_text())))
    (HERE / "README.md").write_text("\n".join(parts))


def _program(content: Row) -> str:
    timed = [row for row in content["rows"] if "microseconds" in row]
    lines = [
        "## The convex program beside qpth\n" if "qpth" in content["versions"] else "## The convex program\n",
        f"d = {content['dim']}, K = {content['codebook_size']}, lambda {content['regularization']}, float64, "
        f"accuracy {content['accuracy']:g}; {_settings(content)}. Time per vector over Barycode's:\n",
    ]
    names = sorted({name for row in timed for name in row["time_over_barycode"]})
    header = ["vectors lie", "what", "Barycode, us a vector", *names]
    rows = [
        [row["where"], row["what"], f"{row['microseconds']['barycode'][0]:.0f}"]
        + [_ratio(row["time_over_barycode"].get(name)) for name in names]
        for row in timed
    ]
    lines += [_table(header, rows), "Distance from the optimum, and relative error of the gradients:\n"]
    fields = ["optimality", "infeasibility", "gradient_z", "gradient_codebook"]
    measured = [
        [row["where"], name, *(f"{values[field]:.0e}" for field in fields)]
        for row in content["rows"]
        if "solvers" in row
        for name, values in row["solvers"].items()
    ]
    return "\n".join([*lines, _table(["vectors lie", "solver", *fields], measured)])


def _pictures(content: Row) -> str:
    timed = [row for row in content["rows"] if "quality" in row]
    large = [row for row in content["rows"] if "megabytes" in row]
    steps = list(timed[0]["over_avif"])
    cells = [
        [
            str(row["quality"]),
            *(f"{row['seconds'][step][0]:.2f} s, {_ratio(row['over_avif'][step])}" for step in steps),
        ]
        for row in timed
    ]
    files = [
        [
            f"{row['megapixels']:.0f}",
            f"`{row['command']}`",
            f"{row['megabytes']} MB",
            f"{row['seconds']:.1f} s",
            f"{row['over_avif']:.2f}",
        ]
        for row in large
    ]
    lines = [
        "## The picture codec\n",
        "Medians over the shipped photos of 768x512, the model being open, and the time over AVIF's encoding "
        f"(libavif, 4:2:0, speed 6, quality 50) in the same rounds; {_settings(content)}:\n",
        _table(["quality", *steps], cells),
        "The command line on large pictures, a whole process with its start:\n",
        _table(["megapixels", "command", "peak memory", "time", "over AVIF's encoding"], files),
    ]
    return "\n".join(lines)


def _start_up(content: Row) -> str:
    cells = [
        [
            f"`{row['command']}`",
            f"{row['seconds'][0]:.2f} s",
            _ratio(row["time_over_reference"]),
            f"{row['megabytes']} MB",
        ]
        for row in content["rows"]
    ]
    return "\n".join(
        [
            "## Start-up\n",
            f"Processor time and peak memory of whole processes; {_settings(content)}:\n",
            _table(["command", "time", "over `import torch`", "memory"], cells),
        ]
    )


def _weights(content: Row) -> str:
    columns = ("bits per weight", "times smaller", "encode MB/s", "decode MB/s")
    cells = [
        [row["what"], f"{row['megabytes']:g} MB", *(f"{row[column]:g}" for column in columns)]
        for row in content["rows"]
    ]
    return "\n".join(
        [
            "## Speed of the network codec\n",
            "Made-up layers of a transformer, in Python, without files, machine code (extra `compiled`) made "
            f"before; {_settings(content)}:\n",
            _table(["level", "tensors", *columns], cells),
        ]
    )


def _weights_memory(content: Row) -> str:
    largest = "largest tensor in float32, MB"
    cells = [
        [
            row["what"],
            row["direction"],
            *(f"{row[name]:,.0f} MB" for name in ("megabytes", "file MB", largest, "above imports MB")),
            f"{row['of the largest tensor']:.2f}",
        ]
        for row in content["rows"]
    ]
    header = ["level", "direction", "checkpoint", "file", "largest tensor in float32", "peak above imports"]
    return "\n".join(
        [
            "## Memory of the network codec\n",
            "The command line with one worker on a made-up checkpoint of float32 and bfloat16, read from "
            f"disk and written to it; the imports alone take {content['rows'][0]['imports MB']} MB. "
            "At most 4 in the last column is what we hold:\n",
            _table([*header, "over that tensor"], cells),
        ]
    )


def _weights_lossless(content: Row) -> str:
    names = list(content["rows"][0]["methods"])
    cells = []
    for row in content["rows"]:
        methods = row["methods"]
        peer = methods["zipnn"]["bytes"]
        cells.append(
            [
                f"{row['network']}, {row['type']}, {row['megabytes']:g} MB",
                *(
                    f"{methods[name]['bits']:.2f} ({methods[name]['bytes'] / peer:.3f}), "
                    f"{methods[name]['in'][0]:.0f} / {methods[name]['out'][0]:.0f}"
                    for name in names
                ),
            ]
        )
    return "\n".join(
        [
            "## Every bit of a network\n",
            f"Bits a weight (bytes over zipnn's), MB of tensors a second in / out; {_settings(content)}. "
            "Barycode's bytes are whole files with names and shapes; zipnn and Zstandard get all tensors as "
            "one run of bytes. Networks in other types than float32 are cast:\n",
            _table(["network", *names], cells),
        ]
    )


def _layers(content: Row) -> str:
    rows = content["rows"]
    sizes = _sizes(rows[0])
    first = [row for row in rows if _sizes(row) == sizes]
    names = list(first[0]["time_over_reference"])
    cells = [
        [
            name,
            *(_ratio(row["time_over_reference"][name]) for row in first),
            f"{content['megabytes'][name]:.0f}",
        ]
        for name in names
    ]
    cells.append(["plain blocks", "1", "1", f"{content['megabytes']['plain blocks']:.0f}"])
    _plot(rows, HERE / PLOT)
    return "\n".join(
        [
            "## Quantizer layers in training\n",
            f"N, d, K = {sizes}, float32; {_settings(content)}. Time over plain blocks (addmm, argmin, "
            "straight-through, both squared errors); memory of forward and backward beyond what was there, "
            f"in a process of its own. {content.get('note', '')}\n",
            _table(["layer", *(row["what"] for row in first), "MB"], cells),
            f"![Time over plain blocks as N, K and d grow]({PLOT})\n",
        ]
    )


def _assignment(content: Row) -> str:
    names = list(content["rows"][0]["time_over_barycode"])
    rows = [
        [str(_sizes(row)), f"{row['barycode_ms'][0]:.1f}"]
        + [_ratio(row["time_over_barycode"][name]) for name in names]
        for row in content["rows"]
    ]
    return "\n".join(
        [
            "## Nearest code vectors\n",
            f"{_settings(content)}. Time over Barycode's:\n",
            _table(["N, d, K", "Barycode, ms", *names], rows),
        ]
    )


def _kmeans(content: Row) -> str:
    names = list(content["rows"][0]["time_over_barycode"])
    rows = [
        [str(_sizes(row)), f"{row['barycode_seconds'][0]:.1f}"]
        + [_ratio(row["time_over_barycode"][name]) for name in names]
        + [f"{row['squared_error'][name]:.3g}" for name in ("barycode", *names)]
        for row in content["rows"]
    ]
    header = ["N, d, K", "Barycode, s", *names, "its error", *(f"that of {name}" for name in names)]
    return "\n".join(
        [
            "## k-means\n",
            f"{content['rows'][0]['iterations']} iterations on a mixture of K / 4 Gaussians; "
            f"{_settings(content)}. Time over Barycode's, whose start is part of it, and the mean squared "
            "error of a component. Barycode starts by k-means||, scikit-learn by k-means++ up to K = 2,048; "
            "the others start at random vectors:\n",
            _table(header, rows),
        ]
    )


def _plot(rows: list[Row], path: Path) -> None:
    figure = Figure(figsize=(12, 4), layout="constrained")
    FigureCanvasAgg(figure)
    rows = [row for row in rows if row["what"] != "forward"]
    names = ("VectorQuantizer", "SoftConvexQuantizer, relaxed", "SoftConvexQuantizer, exact")
    center = rows[0]
    fields = ("vectors", "codebook_size", "dim")
    for axes, field in zip(figure.subplots(1, 3), fields, strict=True):
        others = [name for name in fields if name != field]
        chosen = [row for row in rows if all(row[name] == center[name] for name in others)]
        chosen.sort(key=lambda row: row[field])
        for name in names:
            times = [row["reference_ms"][0] * row["time_over_reference"][name][0] for row in chosen]
            axes.plot([row[field] for row in chosen], times, marker="o", label=name)
        axes.plot(
            [row[field] for row in chosen],
            [row["reference_ms"][0] for row in chosen],
            color="grey",
            marker="o",
            label="plain blocks",
        )
        axes.set(xscale="log", yscale="log", xlabel=field, ylabel="ms, forward + backward")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=100)


def _sizes(row: Row) -> tuple[int, int, int]:
    return row["vectors"], row["dim"], row["codebook_size"]


def _settings(content: Row) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    return f"{content['threads']} thread, {content['rounds']} rounds, {content['processor']}, {versions}"


def _ratio(values: list[float] | None) -> str:
    return "" if values is None else f"{values[0]:g} [{values[1]:g}, {values[2]:g}]"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
