"""Throughput of `barycode compress --engine` by workers, and what a corpus costs before its first picture.

    python benchmarks/corpora.py --output benchmarks/results/corpora.json

Runs with each engine and number of workers take turns. A worker's time for a picture is its processor time,
which a busy machine disturbs less than the wall's; how long a run takes is told by the wall's clock.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from barycode.benchmarks.timing import peak_megabytes, quartiles, report, save
from barycode.cli.corpora import Encoder
from barycode.cli.picture_options import PictureOptions, Wanted
from barycode.corpora.engines.processes import run_processes
from barycode.corpora.engines.ray_data import ray_cluster, run_on_ray
from barycode.corpora.folder import CorpusFolder
from barycode.corpora.listing import list_inputs
from barycode.corpora.plan import Cut
from barycode.corpora.products import CompressedFiles
from barycode.corpora.records import Record
from barycode.corpora.run import CorpusRun
from barycode.corpora.work import Work

PHOTOS = Path(__file__).parents[1] / "examples" / "photos"
SUFFIXES = frozenset({".png", ".jpg"})
Setting = tuple[str, int]  # engine, workers


@dataclass(frozen=True)
class Timed:
    """An encoder that writes each picture's processor seconds into a file of `log` for each process."""

    encoder: Encoder
    log: Path

    def __call__(self, path: Path, name: str) -> bytes:
        begun = time.process_time()
        data = self.encoder(path, name)
        with (self.log / f"{os.getpid()}.txt").open("a") as file:
            file.write(f"{time.process_time() - begun}\n")
        return data


def measure_engines(settings: list[Setting], photos: Path, effort: int, rounds: int) -> list[dict[str, Any]]:
    """A row a setting: `seconds` of a run from its listing to its last record, and `processor_seconds` of a
    worker for a picture, of which the first in each process is left out: it loads PyTorch and the model.
    """
    encoder = Encoder(PictureOptions(Wanted(), effort, "photo", False, False), None, (), False)
    found: dict[Setting, list[tuple[float, list[Record]]]] = {setting: [] for setting in settings}
    spent: dict[Setting, list[float]] = {setting: [] for setting in settings}
    for _ in range(rounds):
        for setting in settings:
            with tempfile.TemporaryDirectory() as output, tempfile.TemporaryDirectory() as log:
                found[setting].append(_run(photos, Path(output), Timed(encoder, Path(log)), *setting))
                for file in Path(log).iterdir():
                    spent[setting] += map(float, file.read_text().split()[1:])
    return [
        {
            "engine": engine,
            "workers": workers,
            "seconds": quartiles([seconds for seconds, _ in runs]),
            "processor_seconds": quartiles(spent[engine, workers]),
            "samples": sum(record.samples for record in runs[0][1]),
            "bytes_in": sum(record.bytes_in for record in runs[0][1]),
            "bytes_out": sum(record.bytes_out for record in runs[0][1]),
        }
        for (engine, workers), runs in found.items()
    ]


def _run(photos: Path, output: Path, encoder: Timed, engine: str, workers: int) -> tuple[float, list[Record]]:
    begun = time.perf_counter()
    folder = CorpusFolder(output, ".tar")
    with folder.alone():
        listing = list_inputs([str(photos)], SUFFIXES, output)
        run = CorpusRun.open(folder, listing, Cut(workers, 1))
        work = Work(folder, CompressedFiles(encoder, SUFFIXES))
        if engine == "local":
            records = list(run.go(partial(run_processes, work, workers=workers)))
        else:
            with ray_cluster(None, workers):
                records = list(run.go(partial(run_on_ray, work, workers=workers)))
    return time.perf_counter() - begun, records


def measure_plan(count: int, shards: int) -> dict[str, Any]:
    """Seconds and memory of the process that hands out the work: for so many files to list and to plan, and
    for so many shards of a run that is gone on with.
    """
    with tempfile.TemporaryDirectory() as text:
        for number in range(count):
            path = Path(text, "in", f"{number // 1000:06d}", f"{number:09d}.png")
            if number % 1000 == 0:
                path.parent.mkdir(parents=True)
            path.touch()
        folder = CorpusFolder(Path(text, "out"), ".tar")
        folder.path.mkdir()

        def plan() -> None:
            listing = list_inputs([f"{text}/in"], SUFFIXES, folder.path)
            CorpusRun.open(folder, listing, Cut(1, count // shards))

        planning, megabytes = _timed(plan)
        for number in range(shards):
            folder.commit(Record(number, 0, 0, 0, 0, 0.0, ()))
        return {
            "files": count,
            "plan_seconds": planning,
            "plan_megabytes": megabytes,
            "plan_bytes": (folder.path / "plan.jsonl").stat().st_size,
            "shards": shards,
            "resume_seconds": _timed(plan)[0],
        }


def _timed(action: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and megabytes at the highest."""
    begun = time.perf_counter()
    megabytes = peak_megabytes(action)
    return round(time.perf_counter() - begun, 2), megabytes


def _corpus(folder: Path, copies: int) -> Path:
    """So many copies of the photos of the examples."""
    folder.mkdir()
    for number in range(copies):
        for photo in sorted(PHOTOS.iterdir()):
            if photo.suffix in SUFFIXES:
                shutil.copy(photo, folder / f"{number}-{photo.name}")
    return folder


def _pixels(path: Path) -> int:
    with Image.open(path) as image:
        return image.width * image.height


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--engines", nargs="+", choices=["local", "ray"], default=["local", "ray"])
    parser.add_argument("--copies", type=int, default=20, help="of the photos of the examples")
    parser.add_argument("--effort", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=200_000, help="to plan")
    parser.add_argument("--shards", type=int, default=2000, help="to go on with")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    plan = measure_plan(arguments.files, arguments.shards)
    print(plan)
    with tempfile.TemporaryDirectory() as text:
        photos = _corpus(Path(text) / "photos", arguments.copies)
        megapixels = sum(_pixels(path) for path in photos.iterdir()) / 1e6
        settings = [(engine, workers) for engine in arguments.engines for workers in arguments.workers]
        rows = measure_engines(settings, photos, arguments.effort, arguments.rounds)
    for row in rows:
        print(row)
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    if arguments.output:
        chosen = {name: getattr(arguments, name) for name in ("effort", "rounds")}
        machine = {"cpus": os.cpu_count(), "worker_megabytes": worker, "megapixels": round(megapixels, 2)}
        save(arguments.output, report(rows, ("ray",), **chosen, **machine, plan=plan))


if __name__ == "__main__":
    main()
