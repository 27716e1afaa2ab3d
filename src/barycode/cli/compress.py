"""`barycode compress`: pictures and networks into .bary files."""

from pathlib import Path
from typing import Annotated

import typer

from barycode.cli import batch, networks, pictures
from barycode.errors import InvalidInputError


def main(  # noqa: PLR0913, PLR0917 (a command's options)
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
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Networks: every bit of every tensor.")
    ] = False,
    bits_per_weight: Annotated[
        float | None, typer.Option(help="Networks: at most so many bits per weight. Default: 4.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Networks: at most so many bytes.")] = None,
    max_error: Annotated[
        float | None, typer.Option(help="Networks: no weight is off by more than this.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Networks: store tensors with such names exactly (* and ?).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
) -> None:
    """Compress pictures and networks into .bary files.

    For example:

    - `barycode compress photo.png` writes photo.bary beside it

    - `barycode compress photo.png -q 4.5 -o small.bary`

    - `barycode compress holiday/ -o holiday-bary/` takes all pictures below a folder

    - `barycode compress "scans/*.tif" --force`

    - `barycode compress model.safetensors --bits-per-weight 3` (also .pt, or a sharded .index.json)

    - `barycode compress model.safetensors --lossless`
    """
    target = networks.target_of(lossless, bits_per_weight, size, max_error)

    def act(job: batch.Job) -> str:
        kind = job.source.suffix.lower()
        if kind == ".bary":
            raise InvalidInputError(
                f"{job.source} is compressed already; did you mean: barycode decompress {job.source}"
            )
        batch.refuse_existing(job.target, force)
        if kind in networks.SUFFIXES:
            return networks.compress(job, target, keep or (), force)
        if target is not None or keep:
            raise InvalidInputError(f"{job.source} is not a network: pictures take --quality.")
        return _compress_picture(job, quality, model, force)

    batch.run_jobs(batch.plan(inputs, output, pictures.SUFFIXES, ".bary"), act)


def _compress_picture(job: batch.Job, quality: float, model: str, force: bool) -> str:
    from barycode.images import compress

    with pictures.open_picture(job.source) as image:
        data = compress(image, quality=quality, model=model)
        bpp = 8 * len(data) / (image.width * image.height)
    batch.write(job.target, data, force)
    return f"{job.source} -> {job.target}  {len(data):,} bytes, {bpp:.3f} bpp"
