"""`barycode evaluate`: rate-distortion on the user's own pictures, against codecs that everyone has."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from barycode.cli import batch
from barycode.cli.extras import extra
from barycode.errors import InvalidInputError

if TYPE_CHECKING:
    from barycode.evaluation.rate_distortion import Codec, Picture, Row
    from barycode.evaluation.report import Comparison

DEFAULT_OUTPUT = Path("evaluation")


def main(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder of pictures, one picture, or a .tar of them.")
    ],
    anchors: Annotated[
        str,
        typer.Option(
            help="Comma-separated: jpeg, jpeg2000, webp, avif, heic; or all. The last two are slow."
        ),
    ] = "jpeg",
    qualities: Annotated[str, typer.Option(help="Our quality settings, comma-separated.")] = "1,2,3,4,5",
    model: Annotated[str, typer.Option(help="A shipped model or a model file of your own.")] = "photo",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the report and its plots.")
    ] = DEFAULT_OUTPUT,
) -> None:
    """Measure rate and distortion on your pictures, beside JPEG or other codecs.

    Every figure comes from whole files and from pixels decoded from them. BD-rates are taken picture by
    picture and then averaged; negative means that our files are smaller at equal quality.

    For example:

    - `barycode evaluate photos/`

    - `barycode evaluate photos/ --anchors jpeg,webp,heic --qualities 1,2,3,4,5 -o report/`
    """
    with extra("evaluation"):
        from barycode.evaluation.rate_distortion import pictures_of, save_rows
        from barycode.evaluation.report import Comparison, write_report
        from barycode.training.datasets import open_pictures
    ours, others = _ours(qualities, model), _anchors(anchors)
    pictures = pictures_of(open_pictures(folder))
    rows = _measure([ours, *others], pictures)
    comparison = Comparison(f"{len(pictures)} pictures of {folder.name}", rows, [ours], others)
    save_rows(output / "rows.json", rows)
    report = write_report(comparison, output)
    _print(comparison)
    typer.echo(f"report: {report}")


def _ours(qualities: str, model: str) -> "Codec":
    from barycode.evaluation.barycode_codec import barycode_codec

    try:
        settings = tuple(float(text) for text in qualities.split(","))
    except ValueError:
        raise InvalidInputError(
            f"--qualities takes numbers between 1 and 5 with commas, got {qualities!r}."
        ) from None
    return barycode_codec(model, settings)


def _anchors(names: str) -> "list[Codec]":
    from barycode.evaluation.anchors import ANCHORS, anchor

    return list(ANCHORS.values()) if names == "all" else [anchor(name) for name in names.split(",")]


def _measure(codecs: "list[Codec]", pictures: "list[Picture]") -> "list[Row]":
    from barycode.evaluation.rate_distortion import rate_distortion

    rows = []
    with batch.progress_bar() as progress:
        for codec in codecs:
            steps = len(pictures) * len(codec.settings)
            rows += list(
                progress.track(rate_distortion(codec, pictures), total=steps, description=codec.name)
            )
    return rows


def _print(comparison: "Comparison") -> None:
    from barycode.evaluation.report import bd_cell, mean_cells
    from barycode.evaluation.summary import means

    console = Console()
    table = Table(title=f"Means over {comparison.title}")
    for heading in ("codec", "setting", "bpp", "PSNR dB", "MS-SSIM", "encode s", "decode s"):
        table.add_column(heading, justify="left" if heading == "codec" else "right")
    for mean in means(comparison.rows):
        table.add_row(*mean_cells(mean))
    console.print(table)
    for measure, results in comparison.figures(comparison.tested[0]).items():
        for name, result in results.items():
            console.print(f"BD-rate in {measure} against {name}: {bd_cell(result)}", highlight=False)
