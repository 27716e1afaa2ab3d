"""Training a picture model by a recipe, stage after stage, resumable at any time."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.images.model import ImageModel, ModelConfig
from barycode.images.rate_distortion import Chooser
from barycode.images.registry import find_model
from barycode.images.steps import REFERENCE_STEP, STEPS_AN_OCTAVE
from barycode.images.walk import AC_FAMILIES
from barycode.quantizers.soft.schedules import ExponentialSchedule, GapControlledSchedule, Schedule
from barycode.training.checkpoints import Checkpoints
from barycode.training.engine import Engine
from barycode.training.images.coded import Batch, CodedBatch, code_batch
from barycode.training.images.crops import Crops, require_large
from barycode.training.images.recipe import Recipe, Stage
from barycode.training.images.replay import Replay
from barycode.training.images.stages import StageLoss, trained_parts
from barycode.training.images.tables import fit_tables, prior_lengths
from barycode.training.images.vectors import with_vectors
from barycode.training.interrupts import deferred_interrupt
from barycode.training.progress import RunningMean, TrainingLog, tell, training_bar

SAVE_EVERY = 200
AVERAGE = 0.999  # decay of the weight average that is kept in the end
LENGTHS_EVERY = 50  # steps between refreshes of the code lengths that choices are made by
TABLE_CROP = 192
TABLE_STEPS = tuple(range(-116, 81, 8))  # step indices that tables are counted at
SOFTEST, SHARPEST = 4.0, 24.0  # sigma of joint stages, first and last, per squared step
GAP_GAIN = 2.0  # what a gap of one adds to sigma in a step


@dataclass(frozen=True)
class Split:
    """Pictures to train on, and pictures held out to choose and report by."""

    train: list[Image.Image]
    held_out: list[Image.Image]


def split(pictures: Sequence[Image.Image], recipe: Recipe) -> Split:
    """Hold out `recipe.holdout` pictures, at most a tenth: the same ones for every seed, so that runs can go
    on from each other and compare.
    """
    count = min(recipe.holdout, len(pictures) // 10)
    order = np.random.default_rng(0).permutation(len(pictures))
    return Split([pictures[i] for i in order[count:]], [pictures[i] for i in order[:count]])


def picture_engine() -> Engine:
    """The engine for how this process was started, as pictures need it: they train on processors, and what
    the contexts saw decides which of their parameters a step moves.
    """
    return Engine.from_environment(accelerator="cpu", unused_parameters=True)


def train_model(
    recipe: Recipe, pictures: Sequence[Image.Image], folder: Path, engine: Engine | None = None
) -> ImageModel:
    """Run all stages and fit the tables; goes on where an interrupted run in `folder` stopped.

    engine: of one process unless given (`picture_engine`). Only rank 0 reads and writes `folder`.
    Raises InvalidInputError without pictures, for those too small, and for a batch that ranks cannot share.
    """
    engine = engine or Engine()
    if not pictures:
        raise InvalidInputError("There are no pictures to train on: name a folder that holds some.")
    for stage in recipe.stages:
        engine.share(torch.empty(stage.batch))  # what cannot be shared is refused now, not after hours
    torch.manual_seed(recipe.seed)
    parts = split(pictures, recipe)
    largest = max([TABLE_CROP, *(stage.crop for stage in recipe.stages)])
    require_large(parts.train, largest)  # now, not after the stages before
    model = engine.once(lambda: _start(recipe, parts.train))
    for number, stage in enumerate(recipe.stages):
        _StageRun(recipe, stage, model, folder / f"stage-{number}", engine).run(parts.train)
    tell(f"{recipe.name}: counting the frequency tables of {len(TABLE_STEPS)} steps, twice")
    return with_tables(model, parts.train, recipe, engine)


def with_tables(
    model: ImageModel, pictures: Sequence[Image.Image], recipe: Recipe, engine: Engine | None = None
) -> ImageModel:
    """The model with frequency tables counted on pictures: twice, since the tables decide the codes that
    they count.
    """
    model = model.eval().requires_grad_(False)
    lengths = prior_lengths(model)
    for _ in range(2):
        model = fit_tables(model, _table_batches(pictures, recipe), recipe.rate_weight, lengths, engine)
        lengths = model.code_lengths()
    return ImageModel.from_bytes(model.to_bytes())


def _table_batches(pictures: Sequence[Image.Image], recipe: Recipe) -> Iterator[tuple[Tensor, int]]:
    crops = Crops(pictures, TABLE_CROP, recipe.seed)
    return ((crops.draw(8), index) for index in TABLE_STEPS for _ in range(3))


def _start(recipe: Recipe, pictures: Sequence[Image.Image]) -> ImageModel:
    config = ModelConfig(
        recipe.name, rate_weight=recipe.rate_weight, policy=recipe.policy, qualities=recipe.qualities
    )
    model = ImageModel(config)
    if recipe.start:
        start = find_model(recipe.start)
        model = ImageModel(replace(config, vectors=start.config.vectors), start.tables)
        model.load_state_dict(start.state_dict())
        for shape in start.config.vectors:
            family = AC_FAMILIES + shape.index
            model.vectors_of(family).tables = start.vectors_of(family).tables
    if recipe.vectors:
        model = with_vectors(
            model, recipe.vectors, _table_batches(pictures, recipe), recipe.rate_weight, recipe.seed
        )
    return model.requires_grad_(True).train()


class _StageRun:
    """One stage: optimizer, weight average, checkpoints, log."""

    def __init__(self, recipe: Recipe, stage: Stage, model: ImageModel, folder: Path, engine: Engine) -> None:
        self.recipe, self.stage, self.model, self.engine = recipe, stage, model, engine
        loss = StageLoss(model, stage.kind, recipe.metric)
        self.parameters = [p for part in trained_parts(model, stage.kind) for p in part.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, stage.learning_rate, betas=(0.9, 0.99))
        self.average = copy.deepcopy(model.state_dict())
        self.checkpoints = Checkpoints(folder)
        self.log = TrainingLog(folder / "log.jsonl")
        self.annealing = annealing(stage)
        self._replay: Replay | None = None
        self.done = 0
        self.forward = engine.setup(loss, self.optimizer)

    def run(self, pictures: Sequence[Image.Image]) -> None:
        crops = Crops(pictures, self.stage.crop, self.recipe.seed + 1)
        self._resume(crops)
        mean = RunningMean()
        title = f"{self.recipe.name}: {self.stage.kind}"
        with deferred_interrupt() as interrupt, training_bar(title, self.stage.steps, self.done) as bar:
            while self.done < self.stage.steps:
                told = self._step(crops)
                bar.advance(loss=mean.update(told["loss"]))
                self.done += 1
                asked = self.engine.any(interrupt.asked)  # all ranks stop at the same step
                if self.done % SAVE_EVERY == 0 or self.done == self.stage.steps or asked:
                    self.engine.once(partial(self._save, crops, told))
                if asked:
                    interrupt.stop(f"step {self.done} of {title}")
        self.model.load_state_dict(self.average)

    def _step(self, crops: Crops) -> dict[str, float]:
        """One step of all ranks; their mean losses."""
        if self.done % LENGTHS_EVERY == 0:
            self.lengths = prior_lengths(self.model)
        for group in self.optimizer.param_groups:
            group["lr"] = self.stage.learning_rate * schedule(self.done, self.stage.steps)
        sigma = self.annealing.value
        chooser = self.model.chooser(self.recipe.rate_weight, self.lengths)
        losses = self.forward(self._drawn(crops, chooser), chooser, sigma)
        told = {name: self.engine.mean(loss).item() for name, loss in losses.items()}
        if not math.isfinite(told["loss"]):
            raise InvalidInputError(
                f"The loss is {told['loss']} at step {self.done}: lower the learning rate of this stage."
            )
        self.optimizer.zero_grad()
        self.engine.backward(losses["loss"])
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self._average()
        if self.stage.kind != "joint":
            return told
        self.annealing.step(told["hard"] - told["soft"])
        return {**told, "sigma": sigma}

    def _drawn(self, crops: Crops, chooser: Chooser) -> Batch | CodedBatch:
        """What the step is taken on: of the global batch the share of this rank."""
        if self.stage.kind != "decoder":
            return self._batch(crops).map(self.engine.share)
        if self.stage.replay == 1:
            return self._coded(crops, chooser)
        if self._replay is None:
            self._replay = Replay(crops.random)
        if not len(self._replay) or self.done % self.stage.replay == 0:
            self._replay.add(self._coded(crops, chooser).map(self.engine.gather))
        return self._replay.draw(self.stage.batch).map(self.engine.share)

    def _batch(self, crops: Crops) -> Batch:
        low, high = self.recipe.steps
        steps = np.exp(crops.random.uniform(np.log(low), np.log(high), self.stage.batch))
        index = np.round(STEPS_AN_OCTAVE * np.log2(steps / REFERENCE_STEP))
        return Batch(
            crops.draw(self.stage.batch),
            torch.from_numpy(REFERENCE_STEP * 2 ** (index / STEPS_AN_OCTAVE)).float(),
        )

    def _coded(self, crops: Crops, chooser: Chooser) -> CodedBatch:
        """A fresh batch as the encoder codes it: the share of this rank."""
        batch = self._batch(crops).map(self.engine.share)
        return code_batch(self.model, batch, chooser, self.stage.rounds)

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(AVERAGE, (1 + self.done) / (10 + self.done))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def _save(self, crops: Crops, told: dict[str, float]) -> None:
        self.log.write(self.done, **told)
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "annealing": self.annealing.state_dict(),
            "random": crops.random.bit_generator.state,
        }
        self.checkpoints.save(self.done, state)

    def _resume(self, crops: Crops) -> None:
        found = self.engine.once(self.checkpoints.latest)
        if found is None:
            return
        self.done, state = found
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.annealing.load_state_dict(state["annealing"])
        crops.random.bit_generator.state = state["random"]
        self.lengths = prior_lengths(self.model)
        self.engine.once(lambda: self.log.resume_at(self.done))


def annealing(stage: Stage) -> Schedule:
    """How sigma grows in a joint stage."""
    if stage.annealing == "gap":
        return GapControlledSchedule(SOFTEST, GAP_GAIN, time_scale=stage.steps / 10)
    if stage.annealing == "exponential":
        return ExponentialSchedule(SOFTEST, (SHARPEST / SOFTEST) ** (1 / stage.steps), stop=SHARPEST)
    return ExponentialSchedule(math.sqrt(SOFTEST * SHARPEST), 1.0)


def schedule(step: int, steps: int) -> float:
    """The learning rate's factor: a short rise, a plateau, and a linear fall over the last 60 %."""
    rise = min(1.0, (step + 1) / min(100, max(1, steps // 10)))
    return rise * max(0.02, min(1.0, (1 - step / steps) / 0.6))
