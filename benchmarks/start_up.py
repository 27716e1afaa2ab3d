"""What a command costs before it has done anything: processor time and memory of whole processes, in turns.

    python benchmarks/start_up.py --output benchmarks/results/start_up.json

Processor time rather than the wall's, since the machine may be busy; the reference is `import torch` alone,
which nothing that touches pixels or weights can avoid. Exits with 1 where a call that needs no PyTorch takes
more than BUDGET seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from barycode.benchmarks.timing import quartiles, report, save

BUDGET = 0.7  # seconds, for calls that need no PyTorch
REFERENCE = "import torch"
PHOTO = Path(__file__).parents[1] / "examples/photos/kodim15.png"
LIGHT = {
    "barycode --help": ["--help"],
    "barycode compress missing.png": ["compress", "missing.png"],
    "barycode compress --quality 9": ["compress", "photo.png", "--quality", "9"],
}
HEAVY = {
    "barycode compress, 64 x 48 pixels": ["compress", "photo.png", "--force"],
    "barycode decompress, 64 x 48 pixels": ["decompress", "photo.bary", "-o", "back.png", "--force"],
}


# A process of its own starts them: one that has torch would count its own memory as theirs.
LAUNCHER = """
import os, sys
null = os.open(os.devnull, os.O_WRONLY)
quiet = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
child = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ, file_actions=quiet)
usage = os.wait4(child, 0)[2]
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def cost(arguments: list[str], folder: str) -> tuple[float, float]:
    """Processor seconds, and megabytes at most, of one Python process (not Windows)."""
    launch = [sys.executable, "-S", "-c", LAUNCHER, *arguments]
    found = subprocess.run(launch, cwd=folder, check=True, capture_output=True, text=True).stdout
    seconds, megabytes = map(float, found.split())
    return seconds, megabytes


def measure(rounds: int, folder: str) -> list[dict[str, Any]]:
    """One row a command: seconds, megabytes, and its time over the reference's round by round."""
    calls = {REFERENCE: ["-c", "import torch"]}
    calls |= {name: ["-m", "barycode", *words] for name, words in (LIGHT | HEAVY).items()}
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, arguments in calls.items():
            found = cost(arguments, folder)
            if turn:  # the first fills caches
                costs[name].append(found)
    return [
        {
            "command": name,
            "light": name in LIGHT,
            "seconds": quartiles([seconds for seconds, _ in found]),
            "megabytes": round(max(megabytes for _, megabytes in found)),
            "time_over_reference": quartiles(
                [own / base for (own, _), (base, _) in zip(found, costs[REFERENCE], strict=True)]
            ),
        }
        for name, found in costs.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with Image.open(PHOTO) as photo:
            photo.crop((400, 100, 464, 148)).save(Path(folder) / "photo.png")
        rows = measure(arguments.rounds, folder)
    for row in rows:
        print(row)
    if arguments.output:
        save(arguments.output, report(rows, (), rounds=arguments.rounds))
    slow = [row["command"] for row in rows if row["light"] and row["seconds"][0] > BUDGET]
    if slow:
        sys.exit(f"More than {BUDGET} s: {', '.join(slow)}")


if __name__ == "__main__":
    main()
