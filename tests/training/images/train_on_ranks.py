"""What torchrun starts in the tests of several processes: runs of small picture models."""

import functools
import importlib
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from barycode.images.model import ModelConfig
from barycode.images.vectors import VectorShape
from barycode.training.images import Recipe, Stage, picture_engine

train = importlib.import_module("barycode.training.images.train")
train.ModelConfig = functools.partial(ModelConfig, channels=4, depth=1, hidden=8)
train.SAVE_EVERY = train.LENGTHS_EVERY = 2
train.TABLE_STEPS = (0,)
# Sums in bfloat16 depend on the shares.
importlib.import_module("barycode.images.model").prefers_bfloat16 = lambda device: False

small = functools.partial(Stage, learning_rate=1e-3, crop=48, batch=4)
VECTORS = (VectorShape(index=4, height=2, width=2, centers=8),)
RUNS = {
    "tables": Recipe("tables", (), vectors=VECTORS),
    "contexts": Recipe("contexts", (small("contexts", 4),)),
    "decoder": Recipe("decoder", (small("decoder", 4),)),
    "refined": Recipe("refined", (small("decoder", 4, rounds=1),)),
    "replay": Recipe("replay", (small("decoder", 4, replay=2),)),
    "joint": Recipe("joint", (small("joint", 4),)),
    "vectors": Recipe("vectors", (small("joint", 4),), vectors=VECTORS),
    "stages": Recipe("stages", tuple(small(kind, 2) for kind in ("contexts", "decoder", "joint"))),
    "long": Recipe("long", (small("decoder", 40),)),
}


def pictures() -> list[Image.Image]:
    """Blocks of colour under noise."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 200, (3, 25, 26, 3)).repeat(8, 1).repeat(8, 2)
    noisy = blocks + random.integers(0, 56, blocks.shape)
    return [Image.fromarray(pixels.astype(np.uint8)) for pixels in noisy]


def main(folder: Path, stop_at: int, names: list[str]) -> None:
    """Train each of these, and write its end; `stop_at`: the step before which the last rank alone gets a
    Ctrl-C, -1 for none.
    """
    torch.set_num_threads(1)
    engine = picture_engine()
    (folder / f"process-{engine.rank}").write_text(str(os.getpid()))
    taken = train._StageRun._step

    def step(run, *arguments):
        if run.done == stop_at and engine.rank == engine.world - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return taken(run, *arguments)

    train._StageRun._step = step
    counted = train.with_tables
    for name in names:
        # Tables are counted in a run of their own: counts after training follow the last bit of its weights.
        train.with_tables = counted if not RUNS[name].stages else lambda model, *_: model
        try:
            model = train.train_model(RUNS[name], pictures(), folder / name, engine)
        except KeyboardInterrupt:
            if stop_at < 0:
                raise
            continue
        (folder / f"{name}-{engine.rank}-of-{engine.world}").write_bytes(model.to_bytes())
        torch.save(model.state_dict(), folder / f"{name}-{engine.rank}-of-{engine.world}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
