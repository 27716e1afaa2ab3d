"""Fuzz the readers: `python fuzz/run.py --executions 10000` runs every target and appends rows to the log.

    python fuzz/run.py --target network --executions 100000 --seed 7
    python fuzz/run.py --totals

Inputs are sound files, those of corpus/, and what has been found to open, mutated with right checksums. A
finding is written to findings/, and the run goes on; it is an error of another type than BarycodeError, or a
run beyond the bounds of bounds.py. Rows are appended as the run goes on, so that an interrupted run counts.
"""

import argparse
import collections
import hashlib
import json
import platform
import random
import resource
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from bounds import Cost, OverBoundError, measured
from targets import TARGETS, Target

from barycode.errors import BarycodeError

HERE = Path(__file__).parent
LOG = HERE / "log.jsonl"
ROW = 5_000  # executions of a row
LARGEST = 2**14  # bytes of an input that is kept to be mutated again
KEPT = 64


@dataclass
class Tally:
    """What came out of the executions of one row."""

    executions: int = 0
    accepted: int = 0
    refused: collections.Counter[str] = field(default_factory=collections.Counter)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0
    peak: int = 0

    def add(self, cost: Cost) -> None:
        self.slowest = max(self.slowest, cost.seconds)
        self.peak = max(self.peak, cost.peak)


def execute(name: str, target: Target, data: bytes, tally: Tally) -> bool:
    """Read one input; whether it was accepted. Findings are kept with their input."""
    tally.executions += 1
    try:
        _, cost = measured(lambda: target.read(data), len(data))
    except OverBoundError as error:
        return _found(name, data, tally, error)
    except BarycodeError as error:
        tally.refused[type(error).__name__] += 1
        return False
    except Exception as error:
        return _found(name, data, tally, error)
    tally.accepted += 1
    tally.add(cost)
    return True


def _found(name: str, data: bytes, tally: Tally, error: Exception) -> bool:
    folder = HERE / "findings"
    folder.mkdir(exist_ok=True)
    digest = hashlib.sha256(data).hexdigest()[:12]
    (folder / f"{name}-{type(error).__name__}-{digest}").write_bytes(data)
    tally.findings.append(f"{type(error).__name__}: {error}"[:200])
    return False


def seeds(name: str) -> list[bytes]:
    """The sound inputs of a target, then its corpus."""
    return TARGETS[name].seeds() + [path.read_bytes() for path in sorted((HERE / "corpus" / name).glob("*"))]


def structured(name: str, executions: int, seed: int) -> Tally:
    """Mutations of sound inputs and, one time in two, of mutated ones that were accepted."""
    target, rng, tally = TARGETS[name], random.Random(seed), Tally()
    first, kept = seeds(name), collections.deque[bytes](maxlen=KEPT)
    start = time.monotonic()
    for _ in range(executions):
        pool = kept if kept and rng.randrange(2) else first
        data = target.mutate(pool[rng.randrange(len(pool))], rng)
        if execute(name, target, data, tally) and len(data) <= LARGEST:
            kept.append(data)
    tally.seconds = time.monotonic() - start
    return tally


def row(name: str, mode: str, seed: int, tally: Tally) -> dict[str, object]:
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False)
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "target": name,
        "mode": mode,
        "seed": seed,
        "executions": tally.executions,
        "accepted": tally.accepted,
        "refused": dict(tally.refused),
        "findings": dict(collections.Counter(tally.findings)),
        "seconds": round(tally.seconds, 1),
        "slowest_accepted": round(tally.slowest, 3),
        "peak_accepted_mib": round(tally.peak / 2**20, 1),
        "commit": commit.stdout.strip(),
        "versions": {
            "python": platform.python_version(),
            **{
                package: version(package)
                for package in ("torch", "numpy", "safetensors", "Pillow", "constriction")
            },
        },
    }


def append(entry: dict[str, object], log: Path = LOG) -> None:
    with log.open("a") as file:
        file.write(json.dumps(entry) + "\n")


def totals() -> None:
    """The executions in the log, by target and mode."""
    found: dict[tuple[str, str], list[int]] = {}
    for line in LOG.read_text().splitlines():
        entry = json.loads(line)
        sums = found.setdefault((entry["target"], entry["mode"]), [0, 0, 0])
        sums[0] += entry["executions"]
        sums[1] += entry["accepted"]
        sums[2] += sum(entry["findings"].values())
    for (target, mode), (executions, accepted, findings) in sorted(found.items()):
        print(f"{target:18} {mode:10} {executions:10,} {accepted:9,} accepted {findings:4} findings")
    print(f"{'all':29} {sum(sums[0] for sums in found.values()):10,}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", choices=TARGETS, action="append", help="one or several; all without it")
    parser.add_argument("--executions", type=int, default=ROW, help="of each target")
    parser.add_argument("--seed", type=int, default=0, help="of the first row; the next row has the next")
    parser.add_argument("--log", type=Path, default=LOG, help="where rows are appended")
    parser.add_argument("--totals", action="store_true", help="print the executions in the log")
    chosen = parser.parse_args()
    if chosen.totals:
        return totals()
    prepare()
    names = chosen.target or list(TARGETS)
    for number, start in enumerate(range(0, chosen.executions, ROW)):
        for name in names:
            seed = chosen.seed + number
            tally = structured(name, min(ROW, chosen.executions - start), seed)
            append(row(name, "structured", seed, tally), chosen.log)


def prepare() -> None:
    """One thread, at most 8 GiB of addresses; what other packages warn of in inputs is not ours."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
    warnings.simplefilter("ignore")


if __name__ == "__main__":
    sys.exit(main())
