"""What a training run tells: a line of JSON a report on disk, and a progress bar on the terminal."""

import json
import math
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

from barycode.errors import CorruptFileError


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
        """Drop the lines after `step`, before a run goes on from there."""
        kept = [line for line in self.read() if line["step"] <= step]
        if self.path.exists():
            self.path.write_text("".join(json.dumps(line) + "\n" for line in kept))


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
        *columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=Console(stderr=True)
    ) as bar:
        yield Bar(bar, bar.add_task(description, total=steps, completed=done, note=""))


@dataclass(frozen=True)
class Bar:
    """One running bar."""

    progress: Progress
    task: TaskID

    def advance(self, **values: float) -> None:
        """One step further; the values stand beside the bar."""
        note = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.progress.update(self.task, advance=1, note=note)
