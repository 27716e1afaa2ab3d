"""A short fine-tuning under soft-to-hard quantizers, taught by the float network's logits; resumable."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from network import ResNet32
from pictures import Pictures, View, teacher_logits
from torch import Tensor, nn

from barycode.quantizers.soft.schedules import Schedule
from barycode.training.checkpoints import Checkpoints
from barycode.training.progress import RunningMean, TrainingLog, training_bar
from barycode.weights.soft_to_hard import (
    RateCeiling,
    anneal,
    center_parameters,
    divergence,
    quantizers,
)

TEMPERATURE = 4.0
distillation = divergence(TEMPERATURE)
WARM_UP = 0.05  # of the steps
LOG_EVERY, SAVE_EVERY = 20, 50


@dataclass(frozen=True)
class Recipe:
    """How long, how fast, and in which order of the pictures. `rates` are learning rates."""

    epochs: int = 6
    batch: int = 128
    seed: int = 0
    rates: dict[str, float] = field(
        default_factory=lambda: {"weights": 1e-3, "vectors": 1e-3, "centers": 3e-3}
    )


@dataclass(frozen=True)
class Softness:
    """Of a network under quantizers: the ceiling on the rate of its codes, and sigma step by step."""

    ceiling: RateCeiling
    schedule: Schedule

    @classmethod
    def of(cls, network: nn.Module, bits: float, schedule: Schedule) -> "Softness":
        """Down to `bits` a weight, at a fixed price."""
        return cls(RateCeiling(network, bits, dearer=1.0), schedule)

    def state_dict(self) -> dict:
        return {"ceiling": self.ceiling.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.ceiling.load_state_dict(state["ceiling"])
        self.schedule.load_state_dict(state["schedule"])


@dataclass(frozen=True)
class Teaching:
    """Pictures to train with, the teacher, and where its logits and the checkpoints are kept."""

    pictures: Pictures
    teacher: ResNet32
    folder: Path


class Run:
    """A network on its way, with its softness if it is under quantizers."""

    def __init__(
        self, network: ResNet32, recipe: Recipe, teaching: Teaching, softness: Softness | None = None
    ) -> None:
        self.network, self.recipe, self.teaching, self.softness = network, recipe, teaching, softness
        self.optimizer = torch.optim.Adam(_groups(network, recipe.rates), betas=(0.9, 0.99))
        self.steps_per_epoch = len(teaching.pictures) // recipe.batch
        self.steps = self.steps_per_epoch * recipe.epochs
        self.step = 0
        self.seconds = 0.0

    def train(self, name: str, until: Callable[[], bool] = lambda: False) -> bool:
        """Train to the end, from the last checkpoint of this name; False if `until` said to stop before."""
        checkpoints = Checkpoints(self.teaching.folder / name, keep=1)
        log = TrainingLog(self.teaching.folder / name / "log.jsonl")
        self._resume(checkpoints, log)
        mean = RunningMean()
        with training_bar(name, self.steps, self.step) as bar:
            while self.step < self.steps and not until():
                start = time.monotonic()
                loss = self.advance()
                self.seconds += time.monotonic() - start
                values = {"loss": mean.update(loss), **self._notes()}
                bar.advance(**values)
                if self.step % LOG_EVERY == 0:
                    log.write(self.step, **values, seconds=self.seconds)
                if self.step % SAVE_EVERY == 0 or self.step == self.steps:
                    checkpoints.save(self.step, self.state())
        return self.step >= self.steps

    def advance(self) -> float:
        """One step; the distillation loss of its batch."""
        epoch, place = divmod(self.step, self.steps_per_epoch)
        chosen = self._order(epoch)[place * self.recipe.batch :][: self.recipe.batch]
        images = View.number(epoch, len(self.teaching.pictures)).of(self.teaching.pictures, chosen)
        taught = self._taught(epoch)[chosen]
        self._set_pace()
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(images)
        loss = distillation(logits.float(), taught)
        penalty = self.softness.ceiling.loss(self.network, self.step / self.steps) if self.softness else 0.0
        self.optimizer.zero_grad()
        (loss + penalty).backward()
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def _notes(self) -> dict[str, float]:
        if self.softness is None:
            return {}
        return {"bits": self.softness.ceiling.now, "sigma": self.softness.schedule.value}

    def _order(self, epoch: int) -> Tensor:
        random = torch.Generator().manual_seed(1000 * (self.recipe.seed + 1) + epoch)
        return torch.randperm(len(self.teaching.pictures), generator=random)

    def _taught(self, epoch: int) -> Tensor:
        return teacher_logits(self.teaching.teacher, self.teaching.pictures, epoch, self.teaching.folder)

    def _set_pace(self) -> None:
        """Learning rates: up, then down along a cosine. Sigma by its schedule."""
        if self.softness:
            anneal(self.network, self.softness.schedule.step())
        done = (self.step + 1) / self.steps
        factor = min(1.0, done / WARM_UP) * (1 + math.cos(math.pi * done)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = factor * group["initial_lr"]

    def state(self) -> dict:
        """Everything that a resumed run needs."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "softness": self.softness.state_dict() if self.softness else None,
            "seconds": self.seconds,
        }

    def _resume(self, checkpoints: Checkpoints, log: TrainingLog) -> None:
        found = checkpoints.latest()
        if found is None:
            return
        self.step, state = found
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.softness:
            self.softness.load_state_dict(state["softness"])
        self.seconds = state["seconds"]
        log.resume_at(self.step)


def _groups(network: nn.Module, rates: dict[str, float]) -> list[dict]:
    """Quantized weights, centers, and all the rest, each with its learning rate."""
    weights = [latent for _, latent in quantizers(network)]
    centers = center_parameters(network)
    taken = {id(p) for p in (*weights, *centers)}
    others = [p for p in network.parameters() if id(p) not in taken and p.requires_grad]
    groups = {"weights": weights, "vectors": others, "centers": centers}
    return [
        {"params": parameters, "lr": rates[name], "initial_lr": rates[name]}
        for name, parameters in groups.items()
        if parameters
    ]
