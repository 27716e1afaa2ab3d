"""The table of nearest code vectors: `barycode bench nearest`, written to a file.

python benchmarks/peers.py .venv-peers
.venv-peers/bin/python benchmarks/assignment.py --output benchmarks/results/assignment.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from barycode.benchmarks.nearest_codes import SHAPES, measure
from barycode.benchmarks.timing import report, save


def main() -> None:
    """Measure every shape, print the rows and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for shape in SHAPES:
        rows.append(measure(shape, arguments.rounds))
        print(json.dumps(rows[-1]), flush=True)
    if arguments.output:
        packages = ("faiss-cpu", "vector-quantize-pytorch")
        save(arguments.output, report(rows, packages, rounds=arguments.rounds))


if __name__ == "__main__":
    main()
