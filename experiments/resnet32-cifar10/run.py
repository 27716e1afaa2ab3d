"""ResNet-32 on CIFAR-10: the ladder of network compression in real bytes against float32.

    python experiments/resnet32-cifar10/run.py --data FOLDER --runs FOLDER

Our files go to files/, those of others to the folder of runs; rows go to results.json. A row that is
there is not made again. Training goes on from its last checkpoint; with --minutes it stops in time.
"""

import json
import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import torch
import typer
from bench import FLOAT_BYTES, Bench, NotYet
from ladder import Row, rows
from peer import peer_rows
from pictures import accuracy
from report import write_report

from barycode.cli.program import run_script
from barycode.container import write_atomic
from barycode.training.datasets import data_folder

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


@dataclass(frozen=True)
class Result:
    """A row of the table."""

    key: str
    method: str
    file: str
    bytes: int
    ratio: float
    accuracy: float
    seed: int | None
    minutes: float


def main(
    data: Annotated[Path | None, typer.Option(help="Folder of the data; default: BARYCODE_DATA.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of checkpoints and caches.")] = HERE / "runs",
    only: Annotated[str, typer.Option(help="Comma-separated patterns of rows.")] = "*",
    minutes: Annotated[float, typer.Option(help="Stop training after so many minutes.")] = float("inf"),
    fresh: Annotated[bool, typer.Option(help="Make the chosen rows again.")] = False,
) -> None:
    """Make the files, measure them, write the table and the plot."""
    torch.manual_seed(0)
    bench = Bench(data_folder(data), runs, time.monotonic() + 60 * minutes)
    chosen = [row for row in [*rows(), *peer_rows(runs)] if _matches(row.key, only)]
    for row in chosen:
        if row.key in read_results() and not fresh:
            continue
        try:
            result = measure(row, bench)
        except NotYet as pause:
            typer.echo(f"{row.key}: not yet ({pause}); run again to go on.")
            continue
        typer.echo(f"{result.key}: {result.bytes} bytes, {result.ratio:.2f}x, {result.accuracy:.2f} %")
        write_results({**read_results(), row.key: result})
    write_report(list(read_results().values()), HERE)


def measure(row: Row, bench: Bench) -> Result:
    """Make the file, and take its accuracy from what is read back from it."""
    made = row.make(bench)
    kept = row.file.endswith(".bary")
    path = (HERE / "files" if kept else bench.runs / "files") / row.file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, made.data, force=True)
    found = accuracy(row.read(path.read_bytes()), bench.test)
    size = path.stat().st_size
    place = f"files/{row.file}" if kept else ""
    return Result(row.key, row.method, place, size, FLOAT_BYTES / size, found, row.seed, made.minutes)


def read_results() -> dict[str, Result]:
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    return {row["key"]: Result(**row) for row in found}


def write_results(results: dict[str, Result]) -> None:
    lines = [json.dumps(asdict(result)) for result in results.values()]
    write_atomic(RESULTS, ("[\n" + ",\n".join(lines) + "\n]\n").encode(), force=True)


def _matches(key: str, patterns: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns.split(","))


if __name__ == "__main__":
    run_script(main)
