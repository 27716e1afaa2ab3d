"""One run: an autoencoder by a recipe, resumable at any checkpoint."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.training.autoencoders.care import Step, states
from barycode.training.autoencoders.methods import Method, find_method
from barycode.training.autoencoders.network import Autoencoder, Reconstruction
from barycode.training.autoencoders.pictures import Batches, Pictures, in_order
from barycode.training.checkpoints import Checkpoints
from barycode.training.progress import RunningMean, TrainingLog, training_bar

POINTS = 20  # of the validation curve
START_BATCHES = 8  # whose latents start the codebook


@dataclass(frozen=True)
class Recipe:
    """What a run is: everything that its numbers depend on."""

    data: str
    method: str
    codebook_size: int = 512
    seed: int = 0
    steps: int = 10_000
    batch: int = 32
    learning_rate: float = 3e-4

    @property
    def name(self) -> str:
        """The run's folder, and what its row is known by."""
        return f"{self.data}-{self.method}-k{self.codebook_size}-n{self.steps}-b{self.batch}-s{self.seed}"

    def row(self) -> dict[str, Any]:
        """The recipe's part of a result row."""
        return asdict(self)


class Run:
    """Trains the autoencoder of a recipe in a folder, and goes on there where it stopped."""

    def __init__(self, recipe: Recipe, pictures: Pictures, folder: Path) -> None:
        self.recipe, self.pictures = recipe, pictures
        torch.manual_seed(recipe.seed)
        self.method: Method = find_method(recipe.method)
        self.model = build(recipe)
        self.cares = list(self.method.care(recipe.steps))
        self._attach()
        moved = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(moved, recipe.learning_rate)
        self.batches = Batches(pictures.train, recipe.batch, recipe.seed)
        self.variance = pictures.variance
        self.checkpoints = Checkpoints(folder / recipe.name, keep=1)
        self.log = TrainingLog(folder / recipe.name / "log.jsonl")
        self.done, self.seconds = 0, 0.0
        if not self._resume():
            self._start_codebook()

    def train(self, deadline: float = math.inf) -> bool:
        """Train to the end of the recipe, or to the first checkpoint after `deadline` (as `time.time()`).

        Whether it came to the end.
        """
        mean = RunningMean()
        every = max(1, self.recipe.steps // POINTS)
        with training_bar(self.recipe.name, self.recipe.steps, self.done) as bar:
            while self.done < self.recipe.steps:
                begun = time.perf_counter()
                error = self.step()
                self.seconds += time.perf_counter() - begun
                bar.advance(mse=mean.update(error))
                if self.done % every == 0 or self.done == self.recipe.steps:
                    self.log.write(self.done, mse=self.validate(), train_mse=mean.update(error))
                    self._save()
                    if time.time() > deadline:
                        break
        return self.done >= self.recipe.steps

    def step(self) -> float:
        """One step of the network and of everything around it; the batch's squared error."""
        self.model.train()
        pictures = self.batches.draw()
        quantizer = self.model.quantizer
        if quantizer is not None:
            self._before(pictures)
        output = self.model(pictures)
        error = functional.mse_loss(output.pictures, pictures)
        loss = self._loss(error, output)
        if not math.isfinite(loss.item()):
            raise InvalidInputError(f"The loss of {self.recipe.name} is {loss.item()} at step {self.done}.")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.done += 1
        if quantizer is not None and output.quantized is not None:
            latents = output.latents.detach().movedim(1, -1)
            step = Step(self.done, latents, output.quantized, self.optimizer)
            for care in self.cares:
                care.after(quantizer, step)
        return error.item()

    @torch.no_grad()
    def validate(self) -> float:
        """Squared error on the pictures held out, with hard codes where there are any."""
        self.model.eval()
        sums = [
            float((self.model(batch).pictures - batch).double().square().sum())
            for batch in in_order(self.pictures.held_out, 100)
        ]
        return sum(sums) / self.pictures.held_out.size

    def curve(self) -> list[tuple[int, float]]:
        """(step, squared error on the pictures held out), from the log."""
        return [(int(line["step"]), line["mse"]) for line in self.log.read()]

    def _loss(self, error: Tensor, output: Reconstruction) -> Tensor:
        distortion = 0.5 * error.log() if self.method.log_likelihood else error / self.variance
        return distortion if output.quantized is None else distortion + output.quantized.loss

    def _attach(self) -> None:
        if self.model.quantizer is not None:
            for care in self.cares:
                care.attach(self.model.quantizer)

    def _before(self, pictures: Tensor) -> None:
        """Let the habits act on latents, where any of them wants to."""
        acting = [care for care in self.cares if care.needs_latents]
        if not acting or self.model.quantizer is None:
            return
        with torch.no_grad():
            latents = self.model.latents(pictures).movedim(1, -1)
        for care in acting:
            care.before(self.model.quantizer, latents)

    @torch.no_grad()
    def _start_codebook(self) -> None:
        if self.model.quantizer is None or self.method.start is None:
            return
        batches = Batches(self.pictures.train, self.recipe.batch, self.recipe.seed)
        latents = [self.model.latents(batches.draw()).movedim(1, -1) for _ in range(START_BATCHES)]
        self.model.quantizer.initialize(torch.cat(latents), self.method.start)

    def _save(self) -> None:
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "care": states(self.cares),
            "batches": self.batches.state_dict(),
            "random": torch.get_rng_state(),
            "seconds": self.seconds,
        }
        self.checkpoints.save(self.done, state)

    def _resume(self) -> bool:
        found = self.checkpoints.latest()
        if found is None:
            return False
        self.done, state = found
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for care, saved in zip(self.cares, state["care"], strict=True):
            care.load_state_dict(saved)
        self.batches.load_state_dict(state["batches"])
        torch.set_rng_state(state["random"])
        self.seconds = float(state["seconds"])
        self.log.resume_at(self.done)
        return True


def build(recipe: Recipe) -> Autoencoder:
    """The untrained autoencoder of a recipe."""
    method = find_method(recipe.method)
    dim = method.latent_dim(recipe.codebook_size)
    quantizer = None if method.build is None else method.build(recipe.codebook_size, dim)
    return Autoencoder(quantizer, dim)
