"""A small autoregressive prior over the codes of VQ, residual and hardened SCQ autoencoders, at equal bits.

    python experiments/prior/run.py --data FOLDER

Trains the autoencoders that are missing (they are those of experiments/equal-bits), then a prior on the codes
of each, and draws samples from it. Resumes; --minutes stops it cleanly; --evaluate-only measures the
committed weights again.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from features import Features
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from barycode.cli.program import run_script
from barycode.evaluation.frechet import frechet_distance
from barycode.evaluation.side_by_side import Panel, side_by_side
from barycode.experiments.autoencoder_metrics import measure
from barycode.experiments.autoencoder_report import Column, group, plot_training, table
from barycode.experiments.document_tables import fill_table
from barycode.experiments.results import ResultsFile, Row, try_lock
from barycode.experiments.sweep import (
    differences,
    keep_weights,
    load_trained,
    recipe_of,
    report_faults,
    restore,
)
from barycode.training.autoencoders.loop import Loop
from barycode.training.autoencoders.methods import find_method
from barycode.training.autoencoders.network import Autoencoder
from barycode.training.autoencoders.pictures import Pictures, in_order, load_pictures
from barycode.training.autoencoders.prior import CodePrior, PriorTask, mean_bits
from barycode.training.autoencoders.train import Recipe, Run
from barycode.training.datasets import data_folder
from barycode.training.datasets.picture_set import Images

HERE = Path(__file__).parent
RUNS = HERE.parents[1] / "runs/autoencoders"
AUTOENCODERS = HERE.parent / "equal-bits/weights"
AUTOENCODER_STEPS, PRIOR_STEPS = 1_500, 1_500
COMPARED = (("vq-revive", 512), ("sparse-2-2", 32), ("residual-2", 23), ("hard-1-1", 512))
HEADLINE = ("vq-revive", "sparse-2-2")  # whose weights are kept
SEEDS = 3
SAMPLES, SHOWN = 2_000, 32
NETWORK = "resnet32_cifar10.safetensors"
COLUMNS = (
    Column("autoencoder's MSE x 1e3", lambda row: 1e3 * row["mse"], "{:.3f}"),
    Column("bits a vector, one table a part", lambda row: row["bits_a_vector"], "{:.3f}"),
    Column("bits a vector, prior", lambda row: row["prior_bits_a_vector"], "{:.3f}"),
    Column("Frechet distance of samples", lambda row: row["frechet_samples"], "{:.3f}"),
    Column("of reconstructions", lambda row: row["frechet_reconstructions"], "{:.3f}"),
    Column("bits a value of the picture, prior", lambda row: row["prior_bits_a_value"], "{:.4f}"),
)


def codes(model: Autoencoder, images: Images) -> Tensor:
    """Codes (N, rows, columns[, parts]) of pictures."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model.encode(batch) for batch in in_order(images, 100)])


def run_one(
    recipe: Recipe, steps: int, pictures: Pictures, features: Features, deadline: float
) -> dict[str, Any] | None:
    """The row of one method; None where time ran out."""
    run = restore(Run(recipe, pictures, RUNS), HERE.parent)
    if not run.loop.run(deadline):
        return None
    train, held_out = (codes(run.model, images) for images in (pictures.train, pictures.held_out))
    shape = train.shape[1:]
    task = PriorTask(
        train.flatten(1), held_out.flatten(1), recipe.codebook_size, parts_of(shape), recipe.seed
    )
    loop = Loop(task, steps, RUNS / name_of(recipe, steps))
    loop.resume()
    if not loop.run(deadline):
        return None
    if recipe.method in HEADLINE and recipe.seed == 0:
        keep_weights(task.prior, HERE / "weights" / f"{name_of(recipe, steps)}.safetensors")
    sampled = draw(run.model, task.prior, shape, recipe.seed)
    if recipe.seed == 0:
        save_grid(sampled[:SHOWN], HERE / "samples" / f"{recipe.method}.png")
    return {
        **figures(run.model, task.prior, pictures),
        **distances(sampled, run.model, pictures, features),
        "prior_steps": steps,
        "prior_seconds": round(loop.seconds, 1),
        "curve": [(step, value * parts_of(shape)) for step, value in loop.curve("bits")],
    }


def draw(model: Autoencoder, prior: CodePrior, shape: torch.Size, seed: int) -> Tensor:
    """Pictures from maps of codes of a shape that the prior draws."""
    torch.manual_seed(seed)
    return decoded(model, prior.sample(SAMPLES).reshape(SAMPLES, *shape))


def distances(sampled: Tensor, model: Autoencoder, pictures: Pictures, features: Features) -> dict[str, Any]:
    """Frechet distances from the test set: of samples, and of as many reconstructions, their lower bound."""
    reconstructed = decoded(model, codes(model, pictures.test[:SAMPLES]))
    return {
        "frechet_samples": round(frechet_distance(features.of(sampled), features.known), 5),
        "frechet_reconstructions": round(frechet_distance(features.of(reconstructed), features.known), 5),
    }


@torch.no_grad()
def decoded(model: Autoencoder, found: Tensor) -> Tensor:
    """The pictures of codes."""
    return torch.cat([model.decode(part) for part in found.split(100)])


def figures(model: Autoencoder, prior: CodePrior, pictures: Pictures) -> dict[str, Any]:
    """What is measured on the test set."""
    found = codes(model, pictures.test)
    bits = mean_bits(prior, found.flatten(1)) * parts_of(found.shape[1:])
    return {
        **measure(model, pictures.test, pictures.variance),
        "prior_bits_a_vector": round(bits, 5),
        "prior_bits_a_value": round(bits * found.shape[1] * found.shape[2] / pictures.test[0].size, 6),
    }


def evaluate_only(results: ResultsFile, pictures: Pictures) -> list[str]:
    """Measure the committed priors, on the autoencoders of equal-bits; a sentence for every difference."""
    faults = []
    for path in sorted((HERE / "weights").glob("prior-*.safetensors")):
        row = results.rows()[path.stem]
        recipe = recipe_of(row)
        model = load_trained(recipe, AUTOENCODERS / f"{recipe.name}.safetensors")
        shape = codes(model, pictures.test[:1]).shape[1:]
        prior = CodePrior(recipe.codebook_size, math.prod(shape), parts_of(shape))
        prior.load_state_dict(load_file(path))
        again = figures(model, prior, pictures)
        faults += [f"{path.stem}: {fault}" for fault in differences(row, again)]
    return faults


def parts_of(shape: Sequence[int]) -> int:
    """Symbols at each place of a map of codes (rows, columns[, parts])."""
    return shape[2] if len(shape) == 3 else 1


def name_of(recipe: Recipe, steps: int) -> str:
    """What the prior of an autoencoder is known by."""
    return f"prior-{recipe.name}-n{steps}"


def save_grid(pictures: Tensor, path: Path, columns: int = 8) -> None:
    """Pictures (N, 3, H, W) in [0, 1] as one PNG, enlarged twice."""
    pixels = (pictures.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    rows = [np.concatenate(list(pixels[i : i + columns]), 1) for i in range(0, len(pixels), columns)]
    image = Image.fromarray(np.concatenate(rows, 0))
    path.parent.mkdir(exist_ok=True)
    image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST).save(path)


def write_report(results: ResultsFile) -> None:
    rows = list(results.rows().values())
    if not rows:
        return
    groups = group(rows, lambda row: f"{find_method(row['method']).title}, K = {row['codebook_size']}")
    plot_training(groups, "A prior over codes", HERE / "curves.png", "bits a vector")
    filled = table(groups, "method", COLUMNS)
    fill_table(HERE / "README.md", filled)
    lines = ["# A prior over codes: the rows", "", filled, ""]
    sheet(groups).save(HERE / "samples.png", optimize=True)
    lines += ["![curves](curves.png)", "", "![samples side by side](samples.png)", ""]
    (HERE / "report.md").write_text("\n".join(lines))


def sheet(groups: Mapping[str, Sequence[Row]]) -> Image.Image:
    """Samples of each method's first seed, two methods a line."""
    panels = []
    for label, rows in groups.items():
        first = min(rows, key=lambda row: row["seed"])
        with Image.open(HERE / "samples" / f"{first['method']}.png") as grid:
            panels.append(Panel(grid.copy(), f"{label}: {first['prior_bits_a_vector']:.2f} bits a vector"))
    return side_by_side([panels[i : i + 2] for i in range(0, len(panels), 2)])


def main(
    data: Annotated[Path | None, typer.Option(help="Data folder; default: BARYCODE_DATA.")] = None,
    minutes: Annotated[float, typer.Option(help="Stop after so many.")] = math.inf,
    autoencoder_steps: Annotated[int, typer.Option(help="Steps of the autoencoders.")] = AUTOENCODER_STEPS,
    prior_steps: Annotated[int, typer.Option(help="Steps of the priors.")] = PRIOR_STEPS,
    seeds: Annotated[int, typer.Option(help="Seeds.")] = SEEDS,
    methods: Annotated[str, typer.Option(help="Comma-separated; empty: all.")] = "",
    again: Annotated[
        bool, typer.Option("--evaluate-only", help="Measure the committed weights again.")
    ] = False,
) -> None:
    """Train and measure what is missing, then write the report."""
    deadline = time.time() + 60 * minutes
    folder = data_folder(data)
    results, pictures = ResultsFile(HERE / "results.json"), load_pictures("cifar10", folder)
    if again:
        report_faults(evaluate_only(results, pictures))
    features = Features(folder / NETWORK, pictures.test)
    first = Recipe("cifar10", "vq", steps=autoencoder_steps)
    for seed in range(seeds):
        for method, size in COMPARED:
            recipe = replace(first, method=method, codebook_size=size, seed=seed)
            name = name_of(recipe, prior_steps)
            if name in results.rows() or (methods and method not in methods.split(",")):
                continue
            with try_lock(RUNS / f"{name}.lock") as mine, try_lock(RUNS / f"{recipe.name}.lock") as free:
                if mine and free and time.time() < deadline:
                    row = run_one(recipe, prior_steps, pictures, features, deadline)
                    if row is not None:
                        results.add({"name": name, **recipe.row(), **row})
    write_report(results)


if __name__ == "__main__":
    run_script(main)
