"""What a command costs before it has done anything: processor time and memory of whole processes, in turns.

    python benchmarks/start_up.py --output benchmarks/results/start_up.json

Processor time rather than the wall's, since the machine may be busy; the reference is `import torch` alone,
which nothing that touches pixels or weights can avoid. Exits with 1 where a call that needs no PyTorch takes
more than BUDGET seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from barycode.benchmarks.timing import ProcessCost, process_cost, quartiles, report, save

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


def measure(rounds: int, folder: Path) -> list[dict[str, Any]]:
    """One row a command: seconds, megabytes, and its time over the reference's round by round."""
    calls = {REFERENCE: ["-c", "import torch"]}
    calls |= {name: ["-m", "barycode", *words] for name, words in (LIGHT | HEAVY).items()}
    costs: dict[str, list[ProcessCost]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, arguments in calls.items():
            found = process_cost(arguments, folder)
            if turn:  # the first fills caches
                costs[name].append(found)
    return [
        {
            "command": name,
            "light": name in LIGHT,
            "seconds": quartiles([cost.seconds for cost in found]),
            "megabytes": round(max(cost.peak_bytes for cost in found) / 2**20),
            "time_over_reference": quartiles(
                [own.seconds / base.seconds for own, base in zip(found, costs[REFERENCE], strict=True)]
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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
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
