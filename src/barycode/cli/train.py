"""`barycode train`: codecs for the user's own data."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of photos, or a .tar of them.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for checkpoints, log, report and the finished model."),
    ] = Path("runs/images"),
    steps: Annotated[int, typer.Option(min=1, help="Optimisation steps.")] = 6000,
    metric: Annotated[Metric, typer.Option(help="Distortion to train for.")] = Metric.mse,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in the output folder.")] = True,
) -> None:
    """Train a picture codec on your own pictures.

    Interrupt it at any time: the same command goes on from the last checkpoint.

    For example:

    - `barycode train images photos/ -o runs/photos`

    - `barycode train images photos/ --metric ms-ssim --steps 20000`
    """
    from barycode.training.images import train

    train(folder, output, steps=steps, metric=metric.value, seed=seed, resume=resume)
