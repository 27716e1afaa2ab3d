"""Soft Convex Quantization beside other quantizers in one autoencoder on CIFAR-10 and GTSRB, at equal K.

    python experiments/scq-cifar10-gtsrb/run.py --data FOLDER

Goes through the runs of the plan in order of importance, several processes at once if you start them, and
goes on where it was interrupted. --minutes stops it cleanly; --evaluate-only measures the committed weights
again. Checkpoints and logs are in runs/autoencoders, shared with the other experiments on autoencoders.
"""

import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from report import write_report

from barycode.evaluation.campaign import Campaign, conclude
from barycode.simplex import ConvergenceWarning
from barycode.training.autoencoders.train import Recipe
from barycode.training.datasets import data_folder

HERE = Path(__file__).parent
RUNS = HERE.parents[1] / "runs/autoencoders"
STEPS = 1_500
HEADLINE = ("vq-ema", "scq-exact", "scq-relaxed")
OTHERS = ("vq", "none", "vq-revive", "residual-2", "fsq", "rotation", "vq-affine", "sq-vae", "gumbel")
ABLATION = ("scq-lambda-1.0", "scq-iterations-1", "scq-iterations-3")
SEEDS = 3


def plan(steps: int = STEPS, seeds: int = SEEDS) -> Iterator[Recipe]:
    """All runs, the most important first."""
    for data in ("cifar10", "gtsrb"):
        yield from (Recipe(data, method, steps=steps) for method in (*HEADLINE, *OTHERS))
    yield from (Recipe("cifar10", method, steps=steps) for method in ABLATION)
    for seed in range(1, seeds):
        for data in ("cifar10", "gtsrb"):
            yield from (Recipe(data, method, seed=seed, steps=steps) for method in HEADLINE)


def main(
    data: Annotated[Path | None, typer.Option(help="Data folder; default: BARYCODE_DATA.")] = None,
    minutes: Annotated[float, typer.Option(help="Start nothing new, and stop, after so many.")] = math.inf,
    steps: Annotated[int, typer.Option(help="Training steps of each run.")] = STEPS,
    seeds: Annotated[int, typer.Option(help="Seeds of the headline methods.")] = SEEDS,
    methods: Annotated[str, typer.Option(help="Comma-separated; empty: all.")] = "",
    time_steps: Annotated[bool, typer.Option(help="Only time training steps, in turns.")] = False,
    evaluate_only: Annotated[bool, typer.Option(help="Measure the committed weights again.")] = False,
) -> None:
    """Train and measure what is missing, then write the report."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # scq-iterations-N stops short on purpose
    deadline = time.time() + 60 * minutes
    chosen = [r for r in plan(steps, seeds) if not methods or r.method in methods.split(",")]
    kept = frozenset(r.name for r in chosen if r.method in HEADLINE[:2] and r.seed == 0)
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
