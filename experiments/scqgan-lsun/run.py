"""SCQGAN against VQGAN as first stages on LSUN bedrooms, 64x64: same generator, discriminator and schedule.

    python experiments/scqgan-lsun/run.py --data FOLDER

Goes through the runs of the plan in order of importance, several processes at once if you start them, and
goes on where it was interrupted; `--help` says what else it does.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from features import FeatureDistance
from PIL import Image
from report import write_report
from similarity import ms_ssim
from torch import Tensor

from barycode.cli.program import run_script
from barycode.experiments.experiment import Experiment
from barycode.experiments.sweep import Measurement
from barycode.training.autoencoders.network import Autoencoder
from barycode.training.autoencoders.pictures import Pictures, in_order, to_tensor
from barycode.training.autoencoders.train import Recipe
from barycode.training.datasets.picture_set import Images

HERE = Path(__file__).parent
STEPS, BATCH, HALVINGS = 600, 16, 3
METHODS = ("vq-ema", "scq-exact", "scq-relaxed", "vq-revive", "hard-1-1", "hard-2-3", "residual-2", "none")
SEEDS = 3
SHOWN = 8
NETWORK = "resnet32_cifar10.safetensors"


def plan(steps: int = STEPS, seeds: int = SEEDS) -> Iterator[Recipe]:
    """All runs, the most important first; the discriminator comes in after a quarter of the steps."""
    for seed in range(seeds):
        for method in METHODS if seed == 0 else METHODS[:3]:
            yield Recipe(
                "lsun",
                method,
                seed=seed,
                steps=steps,
                batch=BATCH,
                halvings=HALVINGS,
                adversary_from=steps // 4,
            )


def perception(
    distance: FeatureDistance, model: Autoencoder, pictures: Pictures, name: str
) -> dict[str, Any]:
    """MS-SSIM over three scales (five do not fit) and the feature distance, means over the test set.

    Writes the first pictures, and what a run with seed 0 makes of them, as strips for the report's sheet.
    """
    model.eval()
    similar, far, strip = [], [], []
    with torch.no_grad():
        for batch in in_order(pictures.test, 32):
            output = model(batch).pictures.clamp(0, 1)
            similar.append(ms_ssim(batch, output))
            far.append(distance(batch, output))
            strip.append(output)
    save_strip(to_tensor(pictures.test[:SHOWN]), HERE / "pictures/originals.png")
    if name.endswith("-s0"):
        save_strip(torch.cat(strip)[:SHOWN], HERE / "pictures" / f"{name}.png")
    return {
        "ms_ssim_3": round(float(torch.cat(similar).mean()), 6),
        "feature_distance": round(float(torch.cat(far).mean()), 6),
    }


def save_strip(pictures: Tensor, path: Path) -> None:
    """Pictures (N, 3, H, W) side by side."""
    pixels: Images = (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(list(pixels), 1)).save(path)


def kept(recipe: Recipe) -> bool:
    """Whether the weights are committed: of VQGAN and SCQGAN."""
    return recipe.method in METHODS[:2] and recipe.seed == 0 and recipe.steps == STEPS


def perceived(data: Path) -> Measurement:
    """What this experiment measures besides, with the network of the data folder."""
    return partial(perception, FeatureDistance(data / NETWORK))


EXPERIMENT = Experiment(HERE, plan, kept, write_report, perceived)

if __name__ == "__main__":
    run_script(EXPERIMENT.main)
