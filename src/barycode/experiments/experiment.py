"""The command of an experiment on autoencoders: train what is missing, time steps, measure weights again."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from barycode.experiments.results import Row
from barycode.experiments.sweep import Measurement, Sweep, nothing_more, report_faults
from barycode.simplex import ConvergenceWarning
from barycode.training.autoencoders.train import Recipe
from barycode.training.datasets import data_folder


@dataclass(frozen=True)
class Experiment:
    """A table of autoencoders with a folder of its own, two levels below the root of the project.

    plan: recipes, the most important first, by the keywords `steps` and `seeds`, which have defaults. kept:
    whether a recipe's weights are to be committed. write_report: from rows, into the folder. more: what else
    to measure, given the data folder.
    """

    folder: Path
    plan: Callable[..., Iterable[Recipe]]
    kept: Callable[[Recipe], bool]
    write_report: Callable[[Iterable[Row], Path], None]
    more: Callable[[Path], Measurement] = lambda data: nothing_more

    @property
    def runs(self) -> Path:
        """Checkpoints and logs, shared with the other experiments so that a recipe is trained once."""
        return self.folder.parents[1] / "runs/autoencoders"

    def main(
        self,
        data: Annotated[Path | None, typer.Option(help="Data folder; default: BARYCODE_DATA.")] = None,
        minutes: Annotated[
            float, typer.Option(help="Start nothing new, and stop, after so many.")
        ] = math.inf,
        steps: Annotated[int | None, typer.Option(help="Training steps of each run.")] = None,
        seeds: Annotated[int | None, typer.Option(help="Seeds of the methods that have several.")] = None,
        methods: Annotated[str, typer.Option(help="Comma-separated; empty: all.")] = "",
        time_steps: Annotated[bool, typer.Option(help="Only time training steps, in turns.")] = False,
        evaluate_only: Annotated[bool, typer.Option(help="Measure the committed weights again.")] = False,
    ) -> None:
        """Train and measure what has no row yet, then write the report.

        Runs are taken up in order of importance and go on where they were interrupted. Start several
        processes and they share the work, one run each.
        """
        deadline = time.time() + 60 * minutes
        warnings.simplefilter("ignore", ConvergenceWarning)  # some methods stop short on purpose
        sweep = self.sweep(data_folder(data), methods, _given(steps=steps, seeds=seeds))
        if evaluate_only:
            report_faults(sweep.evaluate_only())
        if time_steps:
            sweep.time_steps()
        else:
            sweep.run(deadline)
        self.write_report(sweep.measured(), self.folder)

    def sweep(self, data: Path, methods: str, limits: dict[str, Any]) -> Sweep:
        """The runs of some methods (all if empty), under limits that `plan` understands."""
        chosen = [r for r in self.plan(**limits) if not methods or r.method in methods.split(",")]
        kept = frozenset(recipe.name for recipe in chosen if self.kept(recipe))
        return Sweep(self.folder, self.runs, data, chosen, kept, self.more(data))


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}
