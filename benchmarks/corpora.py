"""Throughput of `barycode compress --engine local` against workers, runs with each number in turn.

python benchmarks/corpora.py --workers 1 --workers 2 --copies 4 --rounds 3
"""

import os
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from barycode.cli.corpora import Encoder
from barycode.cli.picture_options import PictureOptions, Wanted
from barycode.cli.program import run_script
from barycode.corpora.engines.processes import run_processes
from barycode.corpora.folder import CorpusFolder
from barycode.corpora.listing import list_inputs
from barycode.corpora.plan import Cut
from barycode.corpora.products import CompressedFiles
from barycode.corpora.run import CorpusRun
from barycode.corpora.work import Work

PHOTOS = Path(__file__).parents[1] / "examples" / "photos"
SUFFIXES = frozenset({".png", ".jpg"})


def main(
    workers: Annotated[list[int], typer.Option(help="Numbers of workers.")],
    copies: Annotated[int, typer.Option(help="Of the photos of the examples: the corpus.")] = 4,
    rounds: Annotated[int, typer.Option(help="Runs with each number.")] = 3,
    effort: Annotated[int, typer.Option(help="Of the encoder.")] = 0,
) -> None:
    """Print seconds of a run (its start included), seconds a megapixel of one worker, and the speed-up."""
    encoder = Encoder(PictureOptions(Wanted(), effort, "photo", False, False), None, (), False)
    with tempfile.TemporaryDirectory() as text:
        photos = _corpus(Path(text) / "photos", copies)
        pixels = sum(_pixels(path) for path in photos.iterdir()) / 1e6
        times: dict[int, list[tuple[float, float]]] = {count: [] for count in workers}
        for number in range(rounds):
            for count in workers:
                times[count].append(_run(photos, Path(text) / f"{number}-{count}", encoder, count))
    first = statistics.median(wall for wall, _ in times[workers[0]])
    print(f"{len(times)} numbers of workers, {os.cpu_count()} CPUs, {pixels:.1f} megapixels, effort {effort}")
    print("workers | seconds | s/megapixel of a worker | speed-up")
    for count, found in times.items():
        wall, busy = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{count} | {wall:.1f} | {busy / pixels:.2f} | {first / wall:.2f}")


def _corpus(folder: Path, copies: int) -> Path:
    folder.mkdir()
    for number in range(copies):
        for photo in sorted(PHOTOS.iterdir()):
            if photo.suffix in SUFFIXES:
                shutil.copy(photo, folder / f"{number}-{photo.name}")
    return folder


def _pixels(path: Path) -> int:
    with Image.open(path) as image:
        return image.width * image.height


def _run(photos: Path, output: Path, encoder: Encoder, workers: int) -> tuple[float, float]:
    """Seconds of the run, and of the workers together while they worked on shards."""
    folder = CorpusFolder(output, ".tar")
    begun = time.perf_counter()
    with folder.alone():
        listing = list_inputs([str(photos)], SUFFIXES, output)
        run = CorpusRun.open(folder, listing, Cut(workers, 1))
        work = Work(folder, CompressedFiles(encoder, SUFFIXES))
        records = list(run.go(partial(run_processes, work, workers=workers)))
    return time.perf_counter() - begun, sum(record.seconds for record in records)


if __name__ == "__main__":
    run_script(main)
