"""`barycode decompress`: .bary files back into pictures and networks."""

from pathlib import Path
from typing import Annotated

import typer

from barycode.cli import batch, pictures
from barycode.errors import UnsupportedFileError

PICTURE_KIND = "imag"


def main(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help=".bary files, folders or quoted globs.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The picture, or a folder for several. Default: a PNG beside the input."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model file, where a file was made with a model of your own.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
) -> None:
    """Decompress .bary files: pictures become PNG, or what the name after --output says.

    For example:

    - `barycode decompress photo.bary` writes photo.png beside it

    - `barycode decompress photo.bary -o photo.tiff`

    - `barycode decompress holiday-bary/ -o holiday/`
    """
    jobs = batch.plan(inputs, output, frozenset({".bary"}), ".png")
    batch.run_jobs(jobs, lambda job: _decompress(job, model, force))


def _decompress(job: batch.Job, model: str | None, force: bool) -> str:
    batch.refuse_existing(job.target, force)
    data = job.source.read_bytes()
    from barycode.container import unpack

    kind = unpack(data).kind
    if kind != PICTURE_KIND:
        raise UnsupportedFileError(
            f"{job.source} holds {kind!r}, which this version of Barycode does not decompress."
        )
    from barycode.images import decompress

    image = decompress(data, model=model)
    batch.write(job.target, pictures.picture_bytes(image, job.target.suffix), force)
    return f"{job.source} -> {job.target}  {image.width}x{image.height} {image.mode}"
