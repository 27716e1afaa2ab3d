"""`barycode train`: codecs for the user's own data."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from barycode.cli.batch import progress_bar
from barycode.cli.extras import extra
from barycode.cli.jobs import require_there
from barycode.errors import InvalidInputError

if TYPE_CHECKING:
    from barycode.training.images import Recipe

MODEL_NAME = "mine"
REPORTED_PICTURES = 10
REPORTED_QUALITIES = (1, 2, 3, 4, 5)
BETTER_START = "train for more steps, on more pictures of one kind, or keep it"

app = typer.Typer(
    no_args_is_help=True, help="Train a codec on your own data: `barycode train images FOLDER`."
)


class Metric(StrEnum):
    """What the decoder is trained to keep."""

    mse = "mse"
    ms_ssim = "ms-ssim"


@app.callback()
def _group() -> None:
    """Keep `images` a sub-command although it is the only one yet."""


@app.command()
def images(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of photos, or .tar files of them.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for checkpoints, log, report and the finished model."),
    ] = Path("runs/images"),
    recipe: Annotated[Path | None, typer.Option(help="A TOML recipe that decides everything below.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimisation steps. Default: 4000.")] = None,
    metric: Annotated[Metric | None, typer.Option(help="Distortion to train for. Default: mse.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random. Default: 0.")] = None,
) -> None:
    """Train a picture codec on your own pictures, starting from the shipped one.

    Interrupt it at any time: the same command goes on from the last checkpoint. A tenth of the pictures (at
    most 50) is held out; the report in the output folder is about those.

    For example:

    - `barycode train images photos/ -o runs/photos`

    - `barycode train images photos/ --metric ms-ssim --steps 20000`

    - `barycode compress photo.png --model runs/photos/mine.safetensors`

    - `torchrun --nproc-per-node 4 -m barycode train images photos/`, on four processes
    """
    require_there(*folders, recipe)
    from barycode.training.images import picture_engine, read_recipe, train
    from barycode.training.progress import tell

    options = {"steps": steps, "metric": metric and metric.value, "seed": seed}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if recipe and given:
        raise InvalidInputError(f"--recipe decides everything: leave out --{' and --'.join(given)}.")
    chosen = read_recipe(recipe) if recipe else default_recipe(**given)
    stages = " and ".join(f"{stage.steps:,} of the {stage.kind}" for stage in chosen.stages)
    tell(f"steps ahead: {stages}; then frequency tables and a report")
    engine = picture_engine()
    train(chosen, folders, output, engine)
    if engine.rank:
        return
    model = output / f"{chosen.name}.safetensors"
    typer.echo(f"model: {model}")
    _report(chosen, folders, model, output / "report")


def default_recipe(steps: int = 4000, metric: Any = "mse", seed: int = 0) -> "Recipe":
    """Adapt the shipped model's decoder, then its contexts in a quarter of the steps."""
    from barycode.training.images import Recipe, Stage

    stages = (Stage("decoder", steps, 2e-4), Stage("contexts", max(1, steps // 4), 5e-4))
    return Recipe(MODEL_NAME, stages, metric=metric, start="photo", seed=seed)


def _report(recipe: "Recipe", folders: list[Path], model: Path, target: Path) -> None:
    """Rate and distortion of the new model, of the one it started from, and of JPEG on held-out pictures."""
    with extra("evaluation"):
        from barycode.evaluation.anchors import JPEG
        from barycode.evaluation.barycode_codec import barycode_codec
        from barycode.evaluation.rate_distortion import Picture, rate_distortion
        from barycode.evaluation.report import Comparison, bd_lines, counted, write_report
    from barycode.training.datasets import open_pictures
    from barycode.training.images.train import split

    pictures = [picture for folder in folders for picture in open_pictures(folder)]
    held_out = split(pictures, recipe).held_out[:REPORTED_PICTURES]
    if not held_out:
        typer.echo("no report: fewer than ten pictures, so none was held out.")
        return
    shown = [Picture(str(i), image) for i, image in enumerate(held_out)]
    ours = barycode_codec(model, REPORTED_QUALITIES)
    start = [barycode_codec(recipe.start, REPORTED_QUALITIES, "model at the start")] if recipe.start else []
    anchors, rows = [*start, JPEG], []
    with progress_bar() as progress:
        for codec in progress.track([ours, *anchors], description="report"):
            rows += list(rate_distortion(codec, shown))
    comparison = Comparison(counted(len(shown), "held-out picture"), rows, [ours], anchors)
    report = write_report(comparison, target)
    for line in bd_lines(comparison):
        typer.echo(line)
    if start and comparison.figures(ours)["PSNR"][start[0].name].mean > 0:
        typer.echo(f"The {start[0].name} is better at these pictures: {BETTER_START}.")
    typer.echo(f"report: {report}")
