"""`barycode compress`: pictures into .bary files."""

from pathlib import Path
from typing import Annotated

import typer

from barycode.cli import batch, pictures
from barycode.errors import InvalidInputError, UnsupportedFileError

NETWORKS = frozenset({".safetensors", ".pt", ".pth"})


def main(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Files, folders or quoted globs.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The .bary file, or a folder for several. Default: beside the input."
        ),
    ] = None,
    quality: Annotated[
        float,
        typer.Option(
            "--quality",
            "-q",
            min=1,
            max=5,
            help="1 (about 0.1 bits per pixel) to 5 (about 1.0); fractions work.",
        ),
    ] = 3.0,
    model: Annotated[
        str, typer.Option(help="A shipped model (photo, photo-msssim) or a .safetensors file of your own.")
    ] = "photo",
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
) -> None:
    """Compress pictures into .bary files.

    For example:

    - `barycode compress photo.png` writes photo.bary beside it

    - `barycode compress photo.png -q 4.5 -o small.bary`

    - `barycode compress holiday/ -o holiday-bary/` takes all pictures below a folder

    - `barycode compress "scans/*.tif" --force`
    """
    jobs = batch.plan(inputs, output, pictures.SUFFIXES, ".bary")
    batch.run_jobs(jobs, lambda job: _compress(job, quality, model, force))


def _compress(job: batch.Job, quality: float, model: str, force: bool) -> str:
    kind = job.source.suffix.lower()
    if kind == ".bary":
        raise InvalidInputError(
            f"{job.source} is compressed already; did you mean: barycode decompress {job.source}"
        )
    if kind in NETWORKS:
        raise UnsupportedFileError(
            f"{job.source} is a network; this version of Barycode compresses pictures only."
        )
    batch.refuse_existing(job.target, force)
    from barycode.images import compress

    with pictures.open_picture(job.source) as image:
        data = compress(image, quality=quality, model=model)
        bpp = 8 * len(data) / (image.width * image.height)
    batch.write(job.target, data, force)
    return f"{job.source} -> {job.target}  {len(data):,} bytes, {bpp:.3f} bpp"
