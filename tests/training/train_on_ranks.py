"""What torchrun starts in the test of several processes: a run of each method, its end as a file."""

import sys
from pathlib import Path

import numpy as np
import torch

from barycode.training.autoencoders.pictures import Pictures
from barycode.training.autoencoders.train import Recipe, Run
from barycode.training.engine import Engine


def made_pictures() -> Pictures:
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 3), dtype=np.uint8)
    return Pictures(images[:60], images[60:70], images[70:])


def recipe(method: str, steps: int = 4) -> Recipe:
    return Recipe("made", method, codebook_size=8, steps=steps, batch=8)


def main(folder: Path, deadline: float, methods: list[str]) -> None:
    torch.set_num_threads(1)
    engine = Engine.from_environment()
    for method in methods:
        run = Run(recipe(method), made_pictures(), folder, engine)
        if run.maintenance is not None:
            run.maintenance.patience = 1  # so that codes are revived
        run.loop.run(deadline)
        torch.save(run.model.state_dict(), folder / f"{method}-{engine.rank}-of-{engine.world}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
