"""The ablation of the annealing: the joint stage of the picture codec, its softness hardened in three ways.

    python experiments/annealing/run.py --data FOLDER

Every arm starts at the shipped photo model and sees the same crops. Its losses are kept in rows/ARM.jsonl, a
line a step, and its state in --runs, so that an interrupted run goes on where it stopped; plot and README.md
are written from the rows.
"""

import copy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
import typer
from PIL import Image
from report import write_report

from barycode.cli.program import run_script
from barycode.container import write_atomic
from barycode.images.model import ImageModel
from barycode.images.registry import find_model
from barycode.quantizers.soft.schedules import ExponentialSchedule, Schedule
from barycode.training.checkpoints import Checkpoints
from barycode.training.datasets import data_folder, open_pictures
from barycode.training.images import Recipe, Stage
from barycode.training.images.coded import Batch
from barycode.training.images.crops import Crops
from barycode.training.images.stages import JointLosses, joint_loss, squared_error
from barycode.training.images.tables import prior_lengths
from barycode.training.images.train import annealing, split
from barycode.training.progress import TrainingLog

HERE = Path(__file__).parent
FROZEN = "frozen"  # the analysis stays as it is, and codes are as good as hard
ARMS = (FROZEN, "none", "exponential", "gap")
HARD = 1e4
ANALYSIS_RATE = 0.1  # of the learning rate: small moves of the analysis change every code
PICTURES, HELD_OUT_PICTURES = 24, 8
HELD_OUT_STEPS = (28.0, 64.0, 140.0)
CROP, BATCH, LEARNING_RATE = 96, 2, 1e-4
LENGTHS_EVERY, SAVE_EVERY = 25, 10


class Arm:
    """One way of annealing: model, optimizer, schedule, log."""

    def __init__(self, name: str, steps: int, model: ImageModel, folder: Path) -> None:
        stage = Stage("joint", steps, LEARNING_RATE, CROP, BATCH, "none" if name == FROZEN else name)  # type: ignore[arg-type]
        self.steps = steps
        self.model = model.train().requires_grad_(True)
        rest = [p for part in (model.decoder, model.contexts) for p in part.parameters()]
        groups: list[dict[str, Any]] = [{"params": rest}]
        if name != FROZEN:
            rate = LEARNING_RATE * ANALYSIS_RATE
            groups.append({"params": list(model.analysis.parameters()), "lr": rate})
        self.optimizer = torch.optim.Adam(groups, LEARNING_RATE, betas=(0.9, 0.99))
        self.schedule: Schedule = ExponentialSchedule(HARD, 1.0) if name == FROZEN else annealing(stage)
        self.checkpoints = Checkpoints(folder / name)
        self.log = TrainingLog(HERE / "rows" / f"{name}.jsonl")

    def run(self, crops: Crops) -> None:
        """Train up to `steps`, from the last checkpoint on."""
        done = self._resume(crops)
        lengths = prior_lengths(self.model)
        while done < self.steps:
            if done % LENGTHS_EVERY == 0:
                lengths = prior_lengths(self.model)
            sigma = self.schedule.value
            losses = losses_of(self.model, draw(crops), lengths, sigma)
            self.optimizer.zero_grad()
            losses.total.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step(losses.gap)
            done += 1
            self.log.write(done, soft=losses.soft.item(), hard=losses.hard.item(), sigma=sigma)
            if done % SAVE_EVERY == 0 or done == self.steps:
                self._save(done, crops)

    def _save(self, done: int, crops: Crops) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": crops.random.bit_generator.state,
        }
        self.checkpoints.save(done, state)

    def _resume(self, crops: Crops) -> int:
        found = self.checkpoints.latest()
        done, state = found if found is not None else (0, None)
        self.log.resume_at(done)
        if state is not None:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            crops.random.bit_generator.state = state["random"]
        return done


def losses_of(model: ImageModel, batch: Batch, lengths: torch.Tensor, sigma: float) -> JointLosses:
    chooser = model.chooser(model.config.rate_weight, lengths)
    return joint_loss(model, batch, chooser, squared_error, sigma)


@torch.no_grad()
def held_out(model: ImageModel, pictures: Sequence[Image.Image]) -> dict[str, float]:
    """loss(hard) = D + lambda R on fixed crops of held-out pictures, at each quantization step."""
    lengths = prior_lengths(model)
    return {
        f"{step:.0f}": losses_of(model, batch, lengths, HARD).hard.item()
        for step, batch in fixed_batches(pictures)
    }


def draw_pictures(folder: Path) -> tuple[list[Image.Image], list[Image.Image]]:
    """A few of the pictures that the shipped model was trained on, and of those held out then."""
    archives = [open_pictures(folder / f"{name}.tar") for name in ("train_photos", "bsds_train")]
    places = [(archive, i) for archive in archives for i in range(len(archive))]
    parts = split(cast(Sequence[Any], places), Recipe("", ()))
    seen, unseen = (
        [archive[i] for archive, i in cast(list[Any], part)[:count]]
        for part, count in ((parts.train, PICTURES), (parts.held_out, HELD_OUT_PICTURES))
    )
    return seen, unseen


def draw(crops: Crops) -> Batch:
    """Random crops at steps that are uniform in their logarithm."""
    low, high = Recipe("", ()).steps
    step = np.exp(crops.random.uniform(np.log(low), np.log(high), BATCH))
    return Batch(crops.draw(BATCH), torch.from_numpy(step).float())


def fixed_batches(pictures: Sequence[Image.Image]) -> Iterator[tuple[float, Batch]]:
    """The same crops at every step."""
    pixels = Crops(pictures, 2 * CROP, seed=1).draw(4)
    for step in HELD_OUT_STEPS:
        yield step, Batch(pixels, torch.full((len(pixels),), step))


def main(
    data: Annotated[Path | None, typer.Option(help="Data folder; default: BARYCODE_DATA.")] = None,
    runs: Annotated[Path, typer.Option(help="Where the states of the arms are kept.")] = Path(
        "runs/annealing"
    ),
    steps: Annotated[int, typer.Option(help="Steps of every arm.")] = 300,
) -> None:
    """Train what is missing, then write plot and report."""
    torch.manual_seed(0)
    seen, unseen = draw_pictures(data_folder(data))
    start = find_model("photo")
    results = {"start": held_out(start, unseen)}
    for name in ARMS:
        arm = Arm(name, steps, copy.deepcopy(start), runs / start.fingerprint.hex())
        arm.run(Crops(seen, CROP, seed=0))
        results[name] = held_out(arm.model, unseen)
    logs = {name: TrainingLog(HERE / "rows" / f"{name}.jsonl").read() for name in ARMS}
    write_atomic(HERE / "results.json", f"{json.dumps(results, indent=2)}\n".encode(), force=True)
    write_report(results, logs, HERE)


if __name__ == "__main__":
    run_script(main)
