"""Many autoencoder runs in order of importance: locked, resumed, measured, one row each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

from safetensors.torch import load_file, save_file
from torch import nn

from barycode.errors import InvalidInputError, MissingDataError
from barycode.experiments.autoencoder_metrics import measure, step_seconds
from barycode.experiments.results import ResultsFile, Row, try_lock
from barycode.training.autoencoders.network import Autoencoder
from barycode.training.autoencoders.pictures import Pictures, load_pictures
from barycode.training.autoencoders.train import Recipe, Run, build

# Figures that other machines measure too; all of some experiments, the last three of others.
COMPARED = (
    "mse",
    "quantization_error",
    "perplexity_of_weights",
    "bytes",
    "ms_ssim_3",
    "feature_distance",
    "prior_bits_a_vector",
)
TOLERANCE = 1e-3  # relative: another machine sums in another order

Measurement = Callable[[Autoencoder, Pictures, str], Mapping[str, Any]]  # of a trained network, by its name


def nothing_more(model: Autoencoder, pictures: Pictures, name: str) -> Mapping[str, Any]:
    """No figures besides the usual ones."""
    return {}


@dataclass(frozen=True)
class Sweep:
    """The runs of one experiment.

    folder: where results.json and weights/ are. runs: checkpoints and logs, shared by experiments so that a
    recipe is trained once. recipes: the most important first. headline: names of runs whose weights are kept.
    more: what else to measure on a trained autoencoder, given the pictures and the run's name.
    """

    folder: Path
    runs: Path
    data: Path
    recipes: Sequence[Recipe]
    headline: frozenset[str] = frozenset()
    more: Measurement = nothing_more

    @property
    def results(self) -> ResultsFile:
        """The rows so far."""
        return ResultsFile(self.folder / "results.json")

    def run(self, deadline: float = math.inf) -> bool:
        """Train and measure what has no row yet, until `deadline` (as `time.time()`); whether all is done.

        Several processes may do so at once, each with its own runs.
        """
        loaded: dict[str, Pictures] = {}
        for recipe in self.missing():
            if time.time() > deadline:
                break
            with try_lock(self.runs / f"{recipe.name}.lock") as mine:
                if mine and recipe.name not in self.results.rows():
                    self._run_one(recipe, _pictures(loaded, recipe.data, self.data), deadline)
        return not list(self.missing())

    def measured(self) -> list[Row]:
        """The rows of runs that came to their end."""
        return [row for row in self.results.rows().values() if "failed" not in row]

    def missing(self) -> Iterator[Recipe]:
        """The recipes without a row, the most important first."""
        known = self.results.rows()
        return (recipe for recipe in self.recipes if recipe.name not in known)

    def open(self, recipe: Recipe, pictures: Pictures) -> Run:
        """The run of a recipe where it stands."""
        return Run(recipe, pictures, self.runs)

    def _run_one(self, recipe: Recipe, pictures: Pictures, deadline: float) -> None:
        run = self.open(recipe, pictures)
        try:
            finished = run.loop.run(deadline)
        except InvalidInputError as error:  # it diverged; the others must not wait for someone to look
            self.results.add({"name": recipe.name, **recipe.row(), "failed": str(error)})
            return
        if not finished:
            return
        row = {"name": recipe.name, **recipe.row(), **self._figures(run.model, pictures, recipe.name)}
        row |= {"train_seconds": round(run.loop.seconds, 1), "curve": run.loop.curve("mse")}
        if recipe.name in self.headline:
            keep_weights(run.model, self.folder / "weights" / f"{recipe.name}.safetensors")
        self.results.add(row)

    def _figures(self, model: Autoencoder, pictures: Pictures, name: str) -> dict[str, Any]:
        return {**measure(model, pictures.test, pictures.variance), **self.more(model, pictures, name)}

    def time_steps(self) -> None:
        """Put the seconds of a training step, all methods taking turns in this process, into their rows.

        One run of each kind is timed, whichever seed: a trained one where its checkpoint or its weights are
        at hand, since solvers take longer on trained latents. Figures of other occasions go.
        """
        known = {row["name"]: row for row in self.measured()}
        loaded: dict[str, Pictures] = {}
        kinds: dict[Recipe, list[Run]] = {}
        for recipe in self.recipes:
            if recipe.name in known:
                run = self.open(recipe, _pictures(loaded, recipe.data, self.data))
                kinds.setdefault(replace(recipe, seed=0), []).append(restore(run, self.folder.parent))
        chosen = [max(runs, key=lambda run: run.loop.done) for runs in kinds.values()]
        for run in chosen:
            run.batches.drawn = run.recipe.steps  # late enough for a discriminator to take part
        timed = step_seconds(chosen)
        for name in (run.recipe.name for runs in kinds.values() for run in runs):
            row = {key: value for key, value in known[name].items() if key != "step_seconds"}
            self.results.add({**row, "step_seconds": timed[name]} if name in timed else row)

    def evaluate_only(self) -> list[str]:
        """Measure the committed weights again; a sentence for every figure that is not the row's."""
        known, faults = self.results.rows(), []
        loaded: dict[str, Pictures] = {}
        for path in sorted((self.folder / "weights").glob("*.safetensors")):
            if path.stem not in known:
                raise MissingDataError(f"{path.name} has no row in {self.results.path.name}.")
            row = known[path.stem]
            recipe = recipe_of(row)
            model = load_trained(recipe, path)
            again = self._figures(model, _pictures(loaded, recipe.data, self.data), path.stem)
            faults += [f"{path.stem}: {fault}" for fault in differences(row, again)]
        return faults


def recipe_of(row: Row) -> Recipe:
    """The recipe that a row came from."""
    return Recipe(**{field.name: row[field.name] for field in fields(Recipe) if field.name in row})


def keep_weights(module: nn.Module, path: Path) -> None:
    """Write the weights of a trained module to a .safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, path)


def load_trained(recipe: Recipe, path: Path) -> Autoencoder:
    """The autoencoder of a recipe with the weights of a file."""
    model = build(recipe)
    model.load_state_dict(load_file(path))
    return model


def restore(run: Run, experiments: Path) -> Run:
    """A run without a checkpoint at its end, if some experiment kept the weights that it came to."""
    kept = next(experiments.glob(f"*/weights/{run.recipe.name}.safetensors"), None)
    if not run.loop.done and kept is not None:
        run.model.load_state_dict(load_file(kept))
        run.loop.done = run.recipe.steps
    return run


def report_faults(faults: Sequence[str]) -> NoReturn:
    """Say whether rows were confirmed, and end the program with exit code 0 or 1."""
    print("\n".join(faults) or "Every figure is that of its row.")
    raise SystemExit(int(bool(faults)))


def differences(row: Row, again: Mapping[str, Any]) -> list[str]:
    """Print what was measured again; a sentence for every figure that is not the row's."""
    print(row["name"], {name: again[name] for name in COMPARED if name in again})
    return [
        f"{name} is {again[name]} instead of {row[name]}"
        for name in COMPARED
        if row.get(name) is not None and abs(again[name] - row[name]) > TOLERANCE * abs(row[name])
    ]


def _pictures(loaded: dict[str, Pictures], name: str, folder: Path) -> Pictures:
    if name not in loaded:
        loaded[name] = load_pictures(name, folder)
    return loaded[name]
