"""`barycode evaluate`: rate-distortion on the user's own pictures, against codecs that everyone has."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from barycode import __version__
from barycode.cli import batch
from barycode.cli.extras import extra
from barycode.cli.jobs import named_model, require_there
from barycode.errors import InvalidInputError

if TYPE_CHECKING:
    from barycode.evaluation.rate_distortion import Codec, Picture, Row
    from barycode.evaluation.report import Comparison

DEFAULT_OUTPUT = Path("evaluation")
PAGE = "index.html"


def main(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder of pictures, one picture, or a .tar of them.")
    ],
    against: Annotated[
        str,
        typer.Option(
            help="Comma-separated: jpeg, jpeg2000, webp, heic, avif, avif-slow, jxl; or all. heic and avif "
            "stand for several settings; one of them alone is avif-444-psnr, heic-444 ..."
        ),
    ] = "jpeg,webp,avif",
    qualities: Annotated[str, typer.Option(help="Our quality settings, comma-separated.")] = "1,2,3,4,5",
    model: Annotated[str, typer.Option(help="A shipped model or a model file of your own.")] = "photo",
    effort: Annotated[
        int, typer.Option("--effort", "-e", min=0, max=9, help="Ours: 0 (quick) to 9 (smallest files).")
    ] = 3,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the page, the report and its rows.")
    ] = DEFAULT_OUTPUT,
    shown: Annotated[int, typer.Option(min=0, help="How many pictures the page holds to look at.")] = 6,
) -> None:
    """Measure rate and distortion on your pictures, beside other codecs, and write a page to look at.

    Every figure comes from whole files and from pixels decoded from them. BD-rates are taken picture by
    picture and then averaged; negative means that our files are smaller at equal quality. The page is one
    file that needs no network. Interrupt the command at any time: it goes on from the last picture, whose
    rows are in the output's folder rows; delete that folder to measure everything again.

    For example:

    - `barycode evaluate photos/`

    - `barycode evaluate photos/ --against jpeg,jpeg2000,webp,heic,avif,jxl -o report/`
    """
    require_there(folder, named_model(model))
    with extra("evaluation"):
        from barycode.evaluation.anchors import anchors_of
        from barycode.evaluation.html_report import write_html
        from barycode.evaluation.rate_distortion import pictures_of
        from barycode.evaluation.report import Comparison, write_report
        from barycode.training.datasets import open_pictures
    ours, others = _ours(qualities, model, effort), anchors_of(against)
    pictures = pictures_of(open_pictures(folder))
    cache = output / "rows"
    rows = _measure([ours, *others], pictures, cache, _digest(pictures, model))
    comparison = Comparison(f"{len(pictures)} pictures of {folder.resolve().name}", rows, [ours], others)
    write_report(comparison, output)
    looked_at = pictures[:shown]
    with batch.progress_bar() as progress:
        task = progress.add_task("page", total=len(looked_at))
        page = write_html(comparison, looked_at, output / PAGE, lambda: progress.advance(task))
    _print(comparison)
    typer.echo(f"page: {page}")


def _ours(qualities: str, model: str, effort: int) -> "Codec":
    from barycode.evaluation.barycode_codec import barycode_codec

    try:
        settings = tuple(sorted({float(text) for text in qualities.split(",")}))
    except ValueError:
        raise InvalidInputError(
            f"--qualities takes numbers between 1 and 8 with commas, got {qualities!r}."
        ) from None
    return barycode_codec(model, settings, effort=effort)


def _digest(pictures: "Sequence[Picture]", model: str) -> str:
    """What rows depend on besides the codec's settings: pixels, this version, a model of one's own."""
    digest = hashlib.sha256(__version__.encode())
    for picture in pictures:
        digest.update(f"{picture.name} {picture.image.size}".encode())
        digest.update(picture.image.tobytes())
    if Path(model).is_file():
        digest.update(Path(model).read_bytes())
    return digest.hexdigest()


def _measure(
    codecs: "Sequence[Codec]", pictures: "Sequence[Picture]", cache: Path, inputs: str
) -> "list[Row]":
    """The rows of all codecs; those that an earlier run measured on the same pictures are read."""
    from barycode.evaluation.rate_distortion import measure_into
    from barycode.evaluation.report import slug

    rows = []
    with batch.progress_bar() as progress:
        tasks = {codec.name: progress.add_task(codec.name, total=len(pictures)) for codec in codecs}
        for codec in codecs:
            key = hashlib.sha256(f"{inputs} {codec.name} {codec.description}".encode()).hexdigest()[:12]
            path = cache / f"{slug(codec.name)}-{key}.json"
            rows += measure_into(path, codec, pictures, partial(progress.advance, tasks[codec.name]))
    return rows


def _print(comparison: "Comparison") -> None:
    from barycode.evaluation.report import bd_lines, mean_cells
    from barycode.evaluation.summary import means

    console = Console()
    table = Table(title=f"Means over {comparison.title}")
    for heading in ("codec", "setting", "bpp", "PSNR dB", "MS-SSIM", "SSIMULACRA2", "encode s", "decode s"):
        table.add_column(heading, justify="left" if heading == "codec" else "right")
    for mean in means(comparison.rows):
        table.add_row(*mean_cells(mean))
    console.print(table)
    for line in bd_lines(comparison):
        console.print(line, highlight=False)
