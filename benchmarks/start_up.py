"""What a command costs before it has done anything: processor time and memory of whole processes, in turns.

    python benchmarks/start_up.py --output benchmarks/results/start_up.json

Exits with 1 where a call that needs no PyTorch takes more than BUDGET seconds. `barycode bench start-up`
measures the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image

from barycode.benchmarks.start_up import measure
from barycode.benchmarks.timing import report, save

BUDGET = 0.7  # seconds, for calls that need no PyTorch
PHOTO = Path(__file__).parents[1] / "examples/photos/kodim15.png"


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
