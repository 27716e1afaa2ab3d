"""The loop around any task: steps, a curve of validation figures, checkpoints, a deadline."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from barycode.training.checkpoints import Checkpoints
from barycode.training.engine import Engine
from barycode.training.interrupts import deferred_interrupt
from barycode.training.progress import RunningMean, TrainingLog, training_bar

POINTS = 20  # of the validation curve, and checkpoints of a run


class Task(Protocol):
    """Something that is trained step by step."""

    def step(self) -> float:
        """Move once; the loss, for people to look at."""

    def validate(self) -> dict[str, float]:
        """Figures on data held out."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, besides the global random state of torch."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""


class Loop:
    """Takes a task through `steps` steps in a folder, and goes on there where it stopped.

    done: steps so far. seconds: the time they took, over all sittings.
    """

    def __init__(self, task: Task, steps: int, folder: Path, engine: Engine | None = None) -> None:
        self.task, self.steps, self.folder = task, steps, folder
        self.engine = engine or Engine()
        self.checkpoints = Checkpoints(folder)
        self.log = TrainingLog(folder / "log.jsonl")
        self.done, self.seconds = 0, 0.0

    def resume(self) -> bool:
        """Load the newest checkpoint; whether there was one."""
        found = self.engine.once(self.checkpoints.latest)
        if found is None:
            return False
        self.done, state = found
        self.task.load_state_dict(state["task"])
        torch.set_rng_state(state["random"])
        self.seconds = float(state["seconds"])
        self.engine.once(lambda: self.log.resume_at(self.done))
        return True

    def run(self, deadline: float = math.inf) -> bool:
        """Go to the end, or to the first checkpoint after `deadline` (as `time.time()`); whether it came to
        the end. Ctrl-C saves first.
        """
        mean = RunningMean()
        every = max(1, self.steps // POINTS)
        with deferred_interrupt() as interrupt, training_bar(self.folder.name, self.steps, self.done) as bar:
            while self.done < self.steps:
                begun = time.perf_counter()
                smooth = mean.update(self.task.step())
                self.seconds += time.perf_counter() - begun
                self.done += 1
                bar.advance(loss=smooth)
                if self.done % every == 0 or self.done == self.steps:
                    figures = self.task.validate()
                    self.engine.once(partial(self.log.write, self.done, training=smooth, **figures))
                    self._save()
                    if self.engine.once(lambda: time.time() > deadline):
                        break
                if self.engine.any(interrupt.asked):  # all ranks save the same step
                    self._save()
                    interrupt.stop(f"step {self.done} of {self.folder.name}")
        return self.done >= self.steps

    def curve(self, figure: str) -> list[tuple[int, float]]:
        """(step, a validation figure), from the log."""
        return [(int(line["step"]), line[figure]) for line in self.log.read()]

    def _save(self) -> None:
        state = {"task": self.task.state_dict(), "random": torch.get_rng_state(), "seconds": self.seconds}
        self.engine.once(lambda: self.checkpoints.save(self.done, state))  # nobody goes on before
