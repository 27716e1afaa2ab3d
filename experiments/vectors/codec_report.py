"""The section of README.md on code vectors inside the codec."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from in_codec import CHOSEN, SCALARS, SHAPES, STEPS, choose

from barycode.images.steps import step_of

Rows = Sequence[dict[str, Any]]
TEXT = """\
## Code vectors inside the codec

The same question put to the codec itself, which can code any slice in vectors (`VectorShape`): a codebook and
tables for each slice, fitted to crops of training photos; tables picked by all that its contexts predict; an
escape to scalars for what no center is close to, so that nothing is out of reach. Tables of the scalars are
counted on the same crops. Below, D + lambda R of each slice against scalars, on crops of photos that neither
codebooks nor tables were fitted to, and the shape that is best on them, the steps weighing the same.
"""
FILES = """\
Whole files of the test pictures, bytes at equal PSNR against scalars (interpolated along their curve):
"""


def codec_section(rows: Rows) -> str:
    """Markdown, from the rows of kinds `slice` and `file`; nothing as long as there are none."""
    if not any(row["kind"] == "file" for row in rows):
        return ""
    costs: dict[str, dict[tuple[int, int], float]] = {}
    groups = list(dict.fromkeys(row["group"] for row in rows if row["kind"] == "slice"))
    for row in (row for row in rows if row["kind"] == "slice"):
        costs.setdefault(row["shape"], {})[row["index"], groups.index(row["group"])] = row["cost"]
    columns = [(name, index) for name in SHAPES for index in STEPS]
    lines = [
        "| bands | " + " | ".join(f"{name}, step {step_of(i):.0f}" for name, i in columns) + " | best |",
        "|---|" + "--:|" * len(columns) + "---|",
    ]
    for number, group in enumerate(groups):
        cells = [f"{_percent(costs[n][i, number], costs[SCALARS][i, number])}" for n, i in columns]
        lines.append(f"| {group} | " + " | ".join(cells) + f" | {choose(costs, number)} |")
    return "\n".join([TEXT, *lines, "", FILES, *_file_table(rows), ""])


def _file_table(rows: Rows) -> list[str]:
    files = [row for row in rows if row["kind"] == "file"]
    lines = [
        "| shape | " + " | ".join(f"step {step_of(i):.0f}" for i in STEPS) + " |",
        "|---|" + "--:|" * len(STEPS),
    ]
    for name in (*SHAPES, CHOSEN):
        cells = []
        for index in STEPS:
            same = [r for r in files if r["shape"] == name and r["index"] == index]
            cells.append(f"{np.mean([_at_equal_psnr(files, row) for row in same]):+.2f} %")
        lines.append(
            f"| {name if name != CHOSEN else 'the best of each slice'} | " + " | ".join(cells) + " |"
        )
    return lines


def _at_equal_psnr(files: Rows, row: dict[str, Any]) -> float:
    """Percent of bytes against the scalars' curve of the same picture, straight in PSNR over log bytes."""
    curve = sorted(
        (r["psnr"], r["bytes"]) for r in files if r["shape"] == SCALARS and r["picture"] == row["picture"]
    )
    psnr, sizes = np.array([p for p, _ in curve]), np.log([size for _, size in curve])
    place = int(np.clip(np.searchsorted(psnr, row["psnr"]), 1, len(psnr) - 1))
    slope = (sizes[place] - sizes[place - 1]) / (psnr[place] - psnr[place - 1])
    return float(100 * np.expm1(np.log(row["bytes"]) - sizes[place] - slope * (row["psnr"] - psnr[place])))


def _percent(value: float, reference: float) -> str:
    return f"{100 * (value / reference - 1):+.1f} %"
