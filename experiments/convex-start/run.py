"""Where a codebook for convex combinations should start: the error of the exact optimum on unseen vectors.

    python experiments/convex-start/run.py --data FOLDER

Writes results.json and README.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from barycode.cli.program import run_script
from barycode.container import write_atomic
from barycode.quantizers import (
    CodebookHealth,
    ExactProgram,
    archetypes,
    farthest,
    kmeans,
    nearest,
    sample,
    spherical_hull,
)
from barycode.training.datasets import data_folder, known_pictures

HERE = Path(__file__).parent
DIM, SIZE, TRAINING, TEST = 16, 64, 9_000, 2_000
PROGRAM = ExactProgram(regularization=0.1)
Start = Callable[[Tensor], Tensor]
HEADER = """\
# Where a codebook for convex combinations should start

    python experiments/convex-start/run.py --data FOLDER

Mean squared error a component of the exact optimum p C (lambda 0.1, K = 64, d = 16) on 2,000 vectors that the
start has not seen; 9,000 others to start from. In brackets: perplexity of the mean p, and the error of the
nearest code vector. Patches are 4 x 4 pixels of CIFAR-10 in grey, scaled to unit variance. One seed.
"""


def patches(folder: Path) -> Tensor:
    pictures = known_pictures("cifar10", "train", folder)[:1500]
    grey = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).float().mean(-1)
    vectors = grey.unfold(1, 4, 4).unfold(2, 4, 4).reshape(-1, DIM)
    drawn = sample(vectors, TRAINING + TEST, generator=_generator())
    drawn = drawn - drawn.mean(0)
    return drawn / drawn.std()


def mixture(_: Path) -> Tensor:
    generator = _generator()
    centers = torch.randn(20, DIM, generator=generator)
    chosen = torch.randint(20, (TRAINING + TEST,), generator=generator)
    return centers[chosen] + 0.4 * torch.randn(TRAINING + TEST, DIM, generator=generator)


def gaussian(_: Path) -> Tensor:
    return torch.randn(TRAINING + TEST, DIM, generator=_generator())


SOURCES = {"CIFAR-10 patches": patches, "mixture of 20 Gaussians": mixture, "one Gaussian": gaussian}


def starts() -> dict[str, Start]:
    """The candidates, as functions of the vectors."""

    def wider(vectors: Tensor, factor: float) -> Tensor:
        centers = kmeans(vectors, SIZE, generator=_generator())
        return centers.mean(0) + factor * (centers - centers.mean(0))

    def fitted(start: Start, vectors: Tensor) -> Tensor:
        return archetypes(vectors, SIZE, program=PROGRAM, start=lambda v, _: start(v), generator=_generator())

    spanning = partial(farthest, codebook_size=SIZE, generator=_generator())
    return {
        "sample": partial(sample, codebook_size=SIZE, generator=_generator()),
        "kmeans": partial(wider, factor=1.0),
        "kmeans, 1.5 times wider": partial(wider, factor=1.5),
        "kmeans, 2.5 times wider": partial(wider, factor=2.5),
        "farthest": spanning,
        "spherical_hull": partial(spherical_hull, codebook_size=SIZE, generator=_generator()),
        "archetypes from kmeans": partial(fitted, partial(wider, factor=1.0)),
        "archetypes from farthest": partial(fitted, spanning),
    }


def measure(start: Start, vectors: Tensor) -> dict[str, float]:
    codebook = start(vectors[:TRAINING])
    test = vectors[TRAINING:]
    weights = PROGRAM(test, codebook)
    health = CodebookHealth(SIZE)
    health.update_weights(weights)
    return {
        "exact": float((test - weights.decode(codebook)).square().mean()),
        "nearest": float((test - codebook[nearest(test, codebook)]).square().mean()),
        "perplexity": health.perplexity,
    }


def table(rows: list[dict[str, object]]) -> str:
    sources = list(dict.fromkeys(str(row["source"]) for row in rows))
    lines = ["| start | " + " | ".join(sources) + " |", "|" + "---|" * (len(sources) + 1)]
    for name in dict.fromkeys(str(row["start"]) for row in rows):
        cells = [
            f"**{row['exact']:.4f}** ({row['perplexity']:.0f}; {row['nearest']:.2f})"
            for row in rows
            if row["start"] == name
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def main(
    data: Annotated[Path | None, typer.Option(help="Folder of CIFAR-10; default: BARYCODE_DATA.")] = None,
) -> None:
    """Measure every start on every source."""
    rows: list[dict[str, object]] = []
    for source, draw in SOURCES.items():
        vectors = draw(data_folder(data))
        for name, start in starts().items():
            rows.append({"source": source, "start": name, **measure(start, vectors)})
            print(json.dumps(rows[-1]), flush=True)
    write_atomic(HERE / "results.json", (json.dumps(rows, indent=1) + "\n").encode(), force=True)
    write_atomic(HERE / "README.md", f"{HEADER}\n{table(rows)}".encode(), force=True)


if __name__ == "__main__":
    run_script(main)
