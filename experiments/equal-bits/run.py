"""Autoencoders on CIFAR-10 at equal measured bits: sparse convex codes and every other quantizer.

    python experiments/equal-bits/run.py --data FOLDER

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
    ("hard-2-2", 512),
    ("residual-2", 512),
    ("product-2", 512),
    ("fsq", 2**18),
    ("residual-4", 23),
    ("hard-3-4", 80),
    ("hard-4-4", 48),
    ("sparse-2-3", 512),
)
# The rest of the library's quantizers at the same two rates; those that come near the line have three seeds.
OTHERS = (
    ("simvq", 512),
    ("diveq", 512),
    ("bsq", 512),
    ("lfq", 512),
    ("residual-fsq", 512),
    ("residual-bsq", 512),
    ("residual-lfq", 512),
    ("projected", 512),
    ("cosine", 512),
    ("sf-diveq", 512),
    ("soft-to-hard", 512),
    ("rotation", 512),
    ("vq-affine", 512),
    ("gumbel", 512),
    ("sq-vae", 512),
)
COMPETING = (("diveq", 512), ("projected", 512), ("sf-diveq", 512))
CONTINUOUS = (("none", 512), ("scq-exact", 512))


def plan(steps: int = STEPS, seeds: int = SEEDS) -> Iterator[Recipe]:
    """All runs, the most important first."""
    yield from (
        Recipe("cifar10", method, size, steps=steps)
        for method, size in (*NINE, *EIGHTEEN, *CONTINUOUS, *OTHERS)
    )
    for seed in range(1, seeds):
        repeated = (*NINE, *EIGHTEEN, *COMPETING)
        yield from (Recipe("cifar10", method, size, seed, steps) for method, size in repeated)


def kept(recipe: Recipe) -> bool:
    """Whether the weights are committed: of VQ, VQ by SCQ's gradient, and two indices of one codebook."""
    return (recipe.method, recipe.codebook_size) in NINE[:3] and recipe.seed == 0 and recipe.steps == STEPS


EXPERIMENT = Experiment(HERE, plan, kept, write_report)

if __name__ == "__main__":
    run_script(EXPERIMENT.main)
