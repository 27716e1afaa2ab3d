"""What a training run tells: a line of JSON a report on disk, and a progress bar on the terminal."""

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from barycode.container import write_atomic
from barycode.errors import CorruptFileError

FIRST_STEPS = 10  # after which it is said how long the rest will take


@dataclass(frozen=True)
class TrainingLog:
    """JSON lines of {"step": ..., name: value ...}; a resumed run drops what came after its checkpoint."""

    path: Path

    def write(self, step: int, **values: float) -> None:
        """Append one line; a value that is not finite becomes null, which strict JSON readers accept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        finite = {name: float(v) if math.isfinite(v) else None for name, v in values.items()}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **finite}) + "\n")

    def read(self) -> list[dict[str, float]]:
        """All lines so far; none before the first."""
        if not self.path.exists():
            return []
        try:
            return [json.loads(line) for line in self.path.read_text().splitlines()]
        except ValueError as error:
            raise CorruptFileError(f"{self.path} is not a training log ({error}).") from error

    def resume_at(self, step: int) -> None:
        """Drop the lines after `step`, before a run goes on from there; and half a line at the end, which a
        killed run leaves.
        """
        if not self.path.exists():
            return
        text = self.path.read_text()
        self._write(text[: text.rfind("\n") + 1])
        self._write("".join(json.dumps(line) + "\n" for line in self.read() if line["step"] <= step))

    def _write(self, text: str) -> None:
        write_atomic(self.path, text.encode(), force=True)


def tell(message: str) -> None:
    """A line for whoever waits, on stderr."""
    _console().print(message, highlight=False, markup=False, soft_wrap=True)


def _console() -> Console:
    """Standard error; silence in all processes but the first of those that torchrun started."""
    return Console(stderr=True, quiet=os.environ.get("RANK", "0") != "0")


def duration(seconds: float) -> str:
    """`40 seconds`, `25 minutes`, `3.5 hours`."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"


class RunningMean:
    """Exponential moving average whose first values are not biased towards zero."""

    def __init__(self, decay: float = 0.98) -> None:
        self.decay = decay
        self._sum = 0.0
        self._weight = 0.0

    def update(self, value: float) -> float:
        """Take in a value and return the mean so far."""
        self._sum = self.decay * self._sum + (1 - self.decay) * value
        self._weight = self.decay * self._weight + (1 - self.decay)
        return self._sum / self._weight


@contextmanager
def training_bar(description: str, steps: int, done: int = 0) -> Iterator["Bar"]:
    """A progress bar over `steps` of which `done` are done; on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=_console()
    ) as bar:
        yield Bar(bar, bar.add_task(description, total=steps, completed=done, note=""))


class Bar:
    """One running bar; after the first steps it tells in a line how long the rest will take."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress = progress
        self._task = task
        self._count = 0
        self._start = time.monotonic()

    def advance(self, **values: float) -> None:
        """One step further; the values stand beside the bar."""
        note = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.progress.update(self._task, advance=1, note=note)
        self._count += 1
        if self._count == FIRST_STEPS:
            self._announce()

    def _announce(self) -> None:
        task = self.progress.tasks[self._task]
        left = int(task.remaining or 0)
        if left:
            seconds = (time.monotonic() - self._start) / FIRST_STEPS * left
            line = f"{task.description}: about {duration(seconds)} for the {left:,} steps that are left"
            self.progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
