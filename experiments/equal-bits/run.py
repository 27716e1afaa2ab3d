"""Autoencoders on CIFAR-10 at equal measured bits: sparse convex codes, VQ, residual, product, FSQ.

    python experiments/equal-bits/run.py --data FOLDER

Goes through the runs of the plan in order of importance, several processes at once if you start them, and
goes on where it was interrupted. --minutes stops it cleanly; --evaluate-only measures the committed weights
again. Checkpoints and logs are in runs/autoencoders, shared with the other experiments on autoencoders.
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from report import write_report

from barycode.evaluation.campaign import Campaign, conclude
from barycode.training.autoencoders.train import Recipe
from barycode.training.datasets import data_folder

HERE = Path(__file__).parent
RUNS = HERE.parents[1] / "runs/autoencoders"
STEPS = 1_500
SEEDS = 3
# (method, K): codes of 9 bits a vector before entropy coding, and of 18.
NINE = (
    ("vq-revive", 512),
    ("hard-1-1", 512),
    ("sparse-2-2", 32),
    ("hard-2-2", 32),
    ("fsq", 512),
    ("residual-2", 23),
    ("product-2", 23),
    ("sparse-2-3", 23),
)
EIGHTEEN = (
    ("hard-2-3", 512),
    ("residual-2", 512),
    ("product-2", 512),
    ("fsq", 2**18),
    ("residual-4", 23),
    ("hard-3-4", 80),
    ("hard-4-4", 48),
    ("sparse-2-3", 512),
)
CONTINUOUS = (("none", 512), ("scq-exact", 512))


def plan(steps: int = STEPS, seeds: int = SEEDS) -> Iterator[Recipe]:
    """All runs, the most important first."""
    yield from (
        Recipe("cifar10", method, size, steps=steps) for method, size in (*NINE, *EIGHTEEN, *CONTINUOUS)
    )
    for seed in range(1, seeds):
        yield from (Recipe("cifar10", method, size, seed, steps) for method, size in (*NINE, *EIGHTEEN))


def main(
    data: Annotated[Path | None, typer.Option(help="Data folder; default: BARYCODE_DATA.")] = None,
    minutes: Annotated[float, typer.Option(help="Start nothing new, and stop, after so many.")] = math.inf,
    steps: Annotated[int, typer.Option(help="Training steps of each run.")] = STEPS,
    seeds: Annotated[int, typer.Option(help="Seeds of all methods that fit in a file.")] = SEEDS,
    methods: Annotated[str, typer.Option(help="Comma-separated; empty: all.")] = "",
    time_steps: Annotated[bool, typer.Option(help="Only time training steps, in turns.")] = False,
    evaluate_only: Annotated[bool, typer.Option(help="Measure the committed weights again.")] = False,
) -> None:
    """Train and measure what is missing, then write the report."""
    deadline = time.time() + 60 * minutes
    chosen = [r for r in plan(steps, seeds) if not methods or r.method in methods.split(",")]
    kept = frozenset(Recipe("cifar10", method, size, steps=STEPS).name for method, size in NINE[:3])
    campaign = Campaign(HERE, RUNS, data_folder(data), chosen, kept)
    if evaluate_only:
        conclude(campaign.evaluate_only())
    if time_steps:
        campaign.time_steps()
    else:
        campaign.run(deadline)
    write_report(campaign.measured(), HERE)


if __name__ == "__main__":
    typer.run(main)
