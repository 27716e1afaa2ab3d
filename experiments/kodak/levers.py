"""What each part of the picture codec is worth: the shipped one against itself without that part, on Kodak.

    python experiments/kodak/levers.py --data FOLDER

Parts are taken away one by one from effort 0, whose encoder never looks at the decoder: so files without the
filter, say, are the same bytes and other pixels. Rows of whole codecs are those of run.py, which comes first.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image
from run import HERE, SETS, measured, own_codec, own_rows

from barycode.cli.program import run_script
from barycode.evaluation.barycode_codec import barycode_codec
from barycode.evaluation.rate_distortion import Codec, Picture, Row, pictures_of
from barycode.evaluation.report import Comparison, bd_table, slug, write_report
from barycode.images import decompress
from barycode.images.codec import compress_at
from barycode.images.model import ImageModel
from barycode.images.quality import step_index
from barycode.images.registry import find_model
from barycode.training.datasets import data_folder, open_pictures

KEY = "kodak"
FOLDER = HERE / "levers"
MODEL, STRUCTURAL = "photo", "photo-msssim"


def main(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the test pictures; default: BARYCODE_DATA.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Measure the codecs without a part again.")] = False,
) -> None:
    """Measure and report."""
    pictures = pictures_of(open_pictures(data_folder(data) / SETS[KEY][1]))
    if fresh:
        for path in FOLDER.glob("rows/*.json"):
            path.unlink()
    parts = [without_choice(), without_filter(), without_centroids()]
    rows = [row for codec in parts for row in measured(_path(codec), codec, pictures)]
    by_part = Comparison(
        "Kodak: one pass of the encoder against less, and against more passes",
        rows + whole_rows(MODEL, (0, 3, 9), pictures),
        [own_codec(MODEL, 0)],
        [*parts, own_codec(MODEL, 3), own_codec(MODEL, 9)],
    )
    structural = Comparison(
        "Kodak: errors weighed by their curvature, and the model for MS-SSIM",
        whole_rows(STRUCTURAL, (0, 3), pictures) + whole_rows(MODEL, (0,), pictures),
        [own_codec(STRUCTURAL, 0)],
        [own_codec(STRUCTURAL, 3), own_codec(MODEL, 0)],
    )
    write_report(by_part, FOLDER / MODEL)
    write_report(structural, FOLDER / STRUCTURAL)
    (FOLDER / "README.md").write_text(summary([by_part, structural]))


def without_choice() -> Codec:
    """Codes are rounded, whatever their bits."""
    model = find_model(MODEL)

    def encode(image: Image.Image, quality: float) -> bytes:
        index = step_index(quality, model.config.qualities)
        return compress_at(image, index, model, rate_weight=0.0, effort=0)

    return replace(
        barycode_codec(MODEL, name="Rounding", effort=0),
        description="the nearest code in place of the cheapest; setting = quality",
        encode=encode,
    )


def without_filter() -> Codec:
    """The inverse transform alone."""
    model = _copy()
    torch.nn.init.zeros_(model.decoder.filter.leave.weight)
    torch.nn.init.zeros_(model.decoder.filter.leave.bias)
    return _decoded_by(model, "No filter", "the same files, decoded by the inverse transform alone")


def without_centroids() -> Codec:
    """Codes stand for themselves, and the filter sees that."""
    model = _copy()
    torch.nn.init.zeros_(model.decoder.centroids.shift)
    return _decoded_by(model, "No centroids", "the same files, codes decoded to the middle of their cells")


def _copy() -> ImageModel:
    shipped = find_model(MODEL)
    model = ImageModel.from_bytes(shipped.to_bytes()).eval()
    model.fingerprint = shipped.fingerprint  # reads the shipped one's files
    return model.requires_grad_(False)


def _decoded_by(model: ImageModel, name: str, description: str) -> Codec:
    def decode(data: bytes) -> Image.Image:
        return decompress(data, model=model).convert("RGB")

    codec = barycode_codec(MODEL, name=name, effort=0)
    return replace(codec, description=f"{description}; setting = quality", decode=decode)


def whole_rows(model: str, efforts: tuple[int, ...], pictures: list[Picture]) -> list[Row]:
    """The rows of a shipped model at some efforts."""
    path = partial(own_rows, KEY, model)
    return [row for each in efforts for row in measured(path(each), own_codec(model, each), pictures)]


def _path(codec: Codec) -> Path:
    return FOLDER / "rows" / f"{slug(codec.name)}.json"


def summary(comparisons: list[Comparison]) -> str:
    """The README: BD-rates of each comparison."""
    lines = [
        "# What each part of the picture codec is worth",
        "",
        "    python experiments/kodak/levers.py --data FOLDER",
        "",
        "The bytes of the codec of each heading against those of the codec of each line, at equal quality",
        "(BD-rate per picture, then averaged). Negative: what the line lacks is worth that much.",
        "",
        "What contexts and vectors are worth is measured in [vectors](../../vectors), what annealing is",
        "worth in [annealing](../../annealing).",
        "",
    ]
    for comparison in comparisons:
        (tested,) = comparison.tested
        folder = MODEL if comparison is comparisons[0] else STRUCTURAL
        lines += [f"## [{comparison.title}]({folder}/report.md)", ""]
        lines += [f"{tested.name} ({tested.description}):", "", bd_table(comparison.figures(tested)), ""]
        lines += [f"- **{codec.name}**: {codec.description}" for codec in comparison.anchors]
        lines += ["", f"![PSNR]({folder}/bd-rate-{slug(tested.name)}.png)", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main)
