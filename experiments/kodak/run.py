"""The report of the picture codec: real files of four test sets, against other codecs.

    python experiments/kodak/run.py --data FOLDER

Rows are kept in rows/, so that an interrupted run goes on where it stopped and anchors are measured once.
Rows of our own models have the effort and the model's identity in their file's name; pass --fresh when the
encoder changed. The Kodak figure also shows what others published of their codecs; see published.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from published import published_curves

from barycode.cli.batch import progress_bar
from barycode.cli.program import run_script
from barycode.errors import InvalidInputError
from barycode.evaluation.anchors import ANCHORS, anchors_of
from barycode.evaluation.barycode_codec import barycode_codec
from barycode.evaluation.rate_distortion import Codec, Picture, Row, measure_into, pictures_of
from barycode.evaluation.report import Comparison, bd_cell, bd_table, slug, write_report
from barycode.experiments.document_tables import fill_table
from barycode.images.refinement import DEFAULT_EFFORT
from barycode.images.registry import find_model
from barycode.training.datasets import data_folder, open_pictures

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
SETS = {
    "kodak": ("Kodak", "kodak"),
    "b100": ("B100", "b100.tar"),
    "urban100-half": ("Urban100, half-size", "urban100_half.tar"),
    "kinds": ("Other kinds", "kinds.tar"),
}
MODELS = {"photo": "Barycode", "photo-msssim": "Barycode MS-SSIM"}
EFFORTS = (DEFAULT_EFFORT, 0, 9)
EVERY_EFFORT = "kodak"  # other sets are measured at the first effort alone
MANY_PICTURES = 50
SOURCE = "experiments/kodak/run.py"  # what the comments around the README's table say
NOTE = """\
Real files, every byte counted; pixels decoded from the files alone; pictures uncropped. BD-rates are taken on
each picture (monotone cubic interpolation of log rate over quality, where our file has 0.1 to 1 bits per
pixel and both curves reach) and then averaged; in brackets, the number of pictures. Negative: our files are
smaller at equal quality. A picture is left out where the other curve reaches less than half of our range.

On the sets of 100 pictures every codec runs at every second setting: on Kodak that moves the BD-rates between
the anchors by 0.3 points, at most 0.9. Encode and decode times in the rows come from a busy machine.
"""
MORE = """\
## Behind the models

Recipes, logs and lineage are in [training](training). What each part of the codec is worth, effort among
them: [levers](levers). How loss(soft) and loss(hard) come together when
transform, contexts and decoder train jointly, and what the annealing is worth: [annealing](../annealing).
Vectors instead of scalars: [vectors](../vectors).

![loss(soft), loss(hard), their gap, and sigma](../annealing/annealing.png)
"""


def main(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the test pictures; default: BARYCODE_DATA.")
    ] = None,
    sets: Annotated[str, typer.Option(help="Comma-separated test sets.")] = ",".join(SETS),
    models: Annotated[
        str, typer.Option(help="Comma-separated shipped models or model files; empty: anchors only.")
    ] = ",".join(MODELS),
    efforts: Annotated[
        str,
        typer.Option(
            help="Comma-separated efforts of our models; tables begin with the first, which is the only one "
            "on other sets than Kodak."
        ),
    ] = ",".join(map(str, EFFORTS)),
    anchors: Annotated[
        str,
        typer.Option(help="Comma-separated anchors to measure, or all; rows of others are used as they are."),
    ] = "all",
    fresh: Annotated[bool, typer.Option(help="Measure our models again.")] = False,
) -> None:
    """Measure, report, and fill the table of the README."""
    folder = data_folder(data)
    ours = {
        (model, effort): own_codec(model, effort)
        for effort in _numbers(efforts)
        for model in models.split(",")
        if model
    }
    usual = {which: codec for which, codec in ours.items() if which[1] == _numbers(efforts)[0]}
    comparisons = [
        compare(key, folder, ours if key == EVERY_EFFORT else usual, anchors_of(anchors), fresh)
        for key in sets.split(",")
    ]
    if ours:
        (HERE / "README.md").write_text(summary(comparisons))
        fill_table(README, readme_table(comparisons[0]), SOURCE)


def _numbers(efforts: str) -> list[int]:
    try:
        return [int(text) for text in efforts.split(",")]
    except ValueError:
        raise InvalidInputError(f"--efforts takes numbers with commas, got {efforts!r}.") from None


def own_codec(model: str, effort: int) -> Codec:
    """Our codec, named as in the tables."""
    name = MODELS.get(model, f"Barycode {Path(model).stem}")
    suffix = "" if effort == DEFAULT_EFFORT else f", effort {effort}"
    return barycode_codec(model, name=name + suffix, effort=effort)


def compare(
    key: str, folder: Path, ours: dict[tuple[str, int], Codec], chosen: Sequence[Codec], fresh: bool
) -> Comparison:
    """Measure all codecs on one test set and write its report."""
    if key not in SETS:
        raise InvalidInputError(f"there is no test set {key!r}; choose from {', '.join(SETS)}.")
    title, place = SETS[key]
    pictures = pictures_of(open_pictures(folder / place))
    present = [
        codec for codec in ANCHORS.values() if codec in chosen or _path(key, slug(codec.name)).exists()
    ]
    anchors = [_grid(anchor, len(pictures)) for anchor in present]
    tested = {which: _grid(codec, len(pictures)) for which, codec in ours.items()}
    rows = [row for anchor in anchors for row in measured(_path(key, slug(anchor.name)), anchor, pictures)]
    for (model, effort), codec in tested.items():
        rows += measured(own_rows(key, model, effort, fresh), codec, pictures)
    published = published_curves() if key == "kodak" else []
    comparison = Comparison(title, rows, list(tested.values()), anchors, published)
    write_report(comparison, HERE / key)
    return comparison


def _grid(codec: Codec, pictures: int) -> Codec:
    """The codec at every second setting (and the last) where there are many pictures."""
    if pictures <= MANY_PICTURES:
        return codec
    return replace(codec, settings=tuple(sorted({*codec.settings[::2], codec.settings[-1]})))


def _path(key: str, name: str) -> Path:
    return HERE / "rows" / key / f"{name}.json"


def own_rows(key: str, model: str, effort: int, fresh: bool = False) -> Path:
    """Where our rows are, after deleting those of other versions of the model, and all of them if `fresh`."""
    identity = find_model(model).fingerprint.hex()
    stem = f"barycode-{Path(model).stem}" + ("" if effort == DEFAULT_EFFORT else f"-effort-{effort}")
    path = _path(key, f"{stem}-{identity}")
    for old in path.parent.glob(f"{stem}-{'[0-9a-f]' * len(identity)}.json"):
        if fresh or old != path:
            old.unlink()
    return path


def measured(path: Path, codec: Codec, pictures: list[Picture]) -> list[Row]:
    """The rows of a codec, kept in `path`."""
    with progress_bar() as progress:
        task = progress.add_task(f"{path.parent.name}: {codec.name}", total=len(pictures))
        return measure_into(path, codec, pictures, lambda: progress.advance(task))


def summary(comparisons: list[Comparison]) -> str:
    """The README of the experiment: BD-rates of every set and model."""
    parts = ["# The picture codec against others", "", NOTE]
    for comparison in comparisons:
        key = next(key for key, (title, _) in SETS.items() if title == comparison.title)
        parts += [f"## [{comparison.title}]({key}/report.md), {comparison.pictures} pictures", ""]
        for codec in comparison.tested:
            parts += [f"{codec.name} ({codec.description}):", "", bd_table(comparison.figures(codec)), ""]
        parts += [f"![PSNR]({key}/psnr.png)", f"![MS-SSIM]({key}/ms-ssim.png)", ""]
    parts += [MORE, "## Again", "", "    python experiments/kodak/run.py --data FOLDER --fresh", ""]
    return "\n".join(parts)


def readme_table(comparison: Comparison) -> str:
    """BD-rates of all our models at the default effort on one set: a row an anchor, a column a measure."""
    shown = [codec for codec in comparison.tested if codec.name in MODELS.values()]
    figures = {codec.name: comparison.figures(codec) for codec in shown}
    headings = [f"{name}: {measure}" for name, measures in figures.items() for measure in measures]
    lines = [["size against", *headings], ["---"] * (len(headings) + 1)]
    for anchor in comparison.anchors:
        results = [results[anchor.name] for measures in figures.values() for results in measures.values()]
        lines.append([anchor.name, *map(bd_cell, results)])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return (
        f"{comparison.title}, {comparison.pictures} pictures, BD-rate per picture, then averaged:\n\n{table}"
    )


if __name__ == "__main__":
    run_script(main)
