"""Soft Convex Quantization beside other quantizers in one autoencoder on CIFAR-10 and GTSRB, at equal K.

    python experiments/scq-cifar10-gtsrb/run.py --data FOLDER

Goes through the runs of the plan in order of importance, several processes at once if you start them, and
goes on where it was interrupted; `--help` says what else it does.
"""

from collections.abc import Iterator
from pathlib import Path

from report import write_report

from barycode.cli.program import run_script
from barycode.experiments.experiment import Experiment
from barycode.training.autoencoders.train import Recipe

HERE = Path(__file__).parent
STEPS = 1_500
HEADLINE = ("vq-ema", "scq-exact", "scq-relaxed")
OTHERS = ("vq", "none", "vq-revive", "residual-2", "fsq", "rotation", "vq-affine", "sq-vae", "gumbel")
SPLITTING = ("scq-splitting-1", "scq-splitting-0", "scq-splitting-2")  # steps between the two algorithms
ABLATION = ("scq-lambda-1.0", "scq-iterations-1", "scq-iterations-3")
CONTROL = ("vq-ema", "vq-revive", "none", "scq-relaxed", "scq-exact")  # also from random weights
SEEDS = 3


def plan(steps: int = STEPS, seeds: int = SEEDS) -> Iterator[Recipe]:
    """All runs, the most important first."""
    for data in ("cifar10", "gtsrb"):
        yield from (Recipe(data, method, steps=steps) for method in (*HEADLINE, *SPLITTING, *OTHERS))
    yield from (Recipe("cifar10", method, steps=steps) for method in ABLATION)
    yield from (Recipe("cifar10", method, steps=steps, transform=False) for method in CONTROL)
    for seed in range(1, seeds):
        for data in ("cifar10", "gtsrb"):
            yield from (Recipe(data, method, seed=seed, steps=steps) for method in (*HEADLINE, *SPLITTING))


def kept(recipe: Recipe) -> bool:
    """Whether the weights are committed: of the headline pair."""
    return recipe.method in HEADLINE[:2] and recipe.seed == 0 and recipe.steps == STEPS and recipe.transform


EXPERIMENT = Experiment(HERE, plan, kept, write_report)

if __name__ == "__main__":
    run_script(EXPERIMENT.main)
