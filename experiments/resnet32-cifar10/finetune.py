"""A short fine-tuning under soft-to-hard quantizers, taught by the float network's logits; resumable."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from network import ResNet32
from pictures import Pictures, View, teacher_logits
from torch import Tensor, nn

from barycode.quantizers.schedules import Schedule
from barycode.training.checkpoints import Checkpoints
from barycode.training.progress import RunningMean, TrainingLog, training_bar
from barycode.weights.soft_to_hard import anneal, center_parameters, code_entropy, quantizers, rate_loss

TEMPERATURE = 4.0
WARM_UP = 0.05  # of the steps
RAMP = 0.4  # of the steps: how long the rate takes to come down


@dataclass(frozen=True)
class Recipe:
    """What a run does after its network has been put under quantizers.

    `bits`: entropy of the codes a weight that the run comes down to; where they are above, beta times the rate
    is added to the loss.
    """

    bits: float
    epochs: int = 2
    batch: int = 128
    seed: int = 0
    beta: float = 0.3
    rates: dict[str, float] = field(
        default_factory=lambda: {"weights": 5e-4, "vectors": 1e-3, "centers": 3e-3}
    )


@dataclass(frozen=True)
class Teaching:
    """Pictures to train with, the teacher, and where its logits and the checkpoints are kept."""

    pictures: Pictures
    teacher: ResNet32
    folder: Path


class Run:
    """A network under quantizers, on its way to `recipe.bits`."""

    def __init__(self, network: nn.Module, recipe: Recipe, schedule: Schedule, teaching: Teaching) -> None:
        self.network, self.recipe, self.schedule, self.teaching = network, recipe, schedule, teaching
        self.optimizer = torch.optim.Adam(_groups(network, recipe.rates), betas=(0.9, 0.99))
        self.steps_per_epoch = len(teaching.pictures) // recipe.batch
        self.steps = self.steps_per_epoch * recipe.epochs
        self.first_bits = code_entropy(network)
        self.step = 0
        self.seconds = 0.0

    def train(self, name: str, until: Callable[[], bool] = lambda: False, every: int = 100) -> bool:
        """Train to the end, from the last checkpoint of this name; False if `until` said to stop before."""
        checkpoints = Checkpoints(self.teaching.folder / name)
        log = TrainingLog(self.teaching.folder / name / "log.jsonl")
        self._resume(checkpoints, log)
        mean = RunningMean()
        with training_bar(name, self.steps, self.step) as bar:
            while self.step < self.steps and not until():
                start = time.monotonic()
                loss = self._step()
                self.seconds += time.monotonic() - start
                values = {"loss": mean.update(loss), "bits": self.bits}
                bar.advance(**values)
                if self.step % 20 == 0:
                    log.write(self.step, **values, sigma=self.schedule.value, seconds=self.seconds)
                if self.step % every == 0 or self.step == self.steps:
                    checkpoints.save(self.step, self.state())
        return self.step >= self.steps

    def _step(self) -> float:
        epoch, place = divmod(self.step, self.steps_per_epoch)
        chosen = self._order(epoch)[place * self.recipe.batch :][: self.recipe.batch]
        images = View.number(epoch, len(self.teaching.pictures)).of(self.teaching.pictures, chosen)
        taught = self._taught(epoch)[chosen]
        anneal(self.network, self.schedule.step())
        self._set_learning_rates()
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(images)
        loss = distillation(logits.float(), taught)
        self.bits = code_entropy(self.network)
        objective = loss + self.recipe.beta * rate_loss(self.network) if self.bits > self._goal() else loss
        self.optimizer.zero_grad()
        objective.backward()
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def _goal(self) -> float:
        share = min(1.0, self.step / (RAMP * self.steps))
        return self.first_bits + share * (self.recipe.bits - self.first_bits)

    def _order(self, epoch: int) -> Tensor:
        random = torch.Generator().manual_seed(1000 * (self.recipe.seed + 1) + epoch)
        return torch.randperm(len(self.teaching.pictures), generator=random)

    def _taught(self, epoch: int) -> Tensor:
        return teacher_logits(self.teaching.teacher, self.teaching.pictures, epoch, self.teaching.folder)

    def _set_learning_rates(self) -> None:
        done = (self.step + 1) / self.steps
        factor = min(1.0, done / WARM_UP) * (1 + math.cos(math.pi * done)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = factor * group["initial_lr"]

    def state(self) -> dict:
        """Everything that a resumed run needs."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "first_bits": self.first_bits,
            "seconds": self.seconds,
        }

    def _resume(self, checkpoints: Checkpoints, log: TrainingLog) -> None:
        found = checkpoints.latest()
        if found is None:
            return
        self.step, state = found
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.first_bits, self.seconds = state["first_bits"], state["seconds"]
        log.resume_at(self.step)


def distillation(logits: Tensor, taught: Tensor) -> Tensor:
    """T^2 KL(softmax(taught / T) || softmax(logits / T)), the mean of a batch (Hinton et al. 2015)."""
    student, teacher = (F.log_softmax(z / TEMPERATURE, 1) for z in (logits, taught))
    return TEMPERATURE**2 * F.kl_div(student, teacher, log_target=True, reduction="batchmean")


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
