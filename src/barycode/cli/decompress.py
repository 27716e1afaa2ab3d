"""`barycode decompress`: .bary files back into pictures and networks."""

from pathlib import Path
from typing import Annotated

import typer

from barycode.cli import batch, networks, pictures
from barycode.errors import UnsupportedFileError

SUFFIXES = {"imag": ".png", networks.KIND: ".safetensors"}
UNKNOWN = ".unpacked"  # until the file says what it holds


def main(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help=".bary files, folders or quoted globs.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file, or a folder for several. Default: PNG or safetensors, beside."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model file, where a file was made with a model of your own.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
) -> None:
    """Decompress .bary files: to PNG and safetensors, or to what the name after --output says.

    For example:

    - `barycode decompress photo.bary` writes photo.png beside it

    - `barycode decompress photo.bary -o photo.tiff`

    - `barycode decompress holiday-bary/ -o holiday/`

    - `barycode decompress model.bary` writes model.safetensors beside it
    """
    jobs = batch.plan(inputs, output, frozenset({".bary"}), UNKNOWN)
    batch.run_jobs(jobs, lambda job: _decompress(job, model, force))


def _decompress(job: batch.Job, model: str | None, force: bool) -> str:
    kind = _kind(job.source)
    if kind not in SUFFIXES:
        raise UnsupportedFileError(
            f"{job.source} holds {kind!r}, which this version of Barycode does not decompress."
        )
    if job.target.suffix == UNKNOWN:
        job = batch.Job(job.source, job.target.with_suffix(SUFFIXES[kind]))
    batch.refuse_existing(job.target, force)
    if kind == networks.KIND:
        return networks.decompress(job, force)
    return _decompress_picture(job, model, force)


def _kind(path: Path) -> str:
    from barycode.container import ContainerReader

    with path.open("rb") as file:
        return ContainerReader(file).kind


def _decompress_picture(job: batch.Job, model: str | None, force: bool) -> str:
    from barycode.images import decompress

    image = decompress(job.source.read_bytes(), model=model)
    batch.write(job.target, pictures.picture_bytes(image, job.target.suffix), force)
    return f"{job.source} -> {job.target}  {image.width}x{image.height} {image.mode}"
