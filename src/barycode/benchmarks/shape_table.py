"""The program of a table with a row for each shape of the problem."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from barycode.benchmarks.timing import report, save

Shape = tuple[int, int, int]  # vectors, dimension, codebook size


def measure_shapes(
    description: str | None,
    shapes: Sequence[Shape],
    measure: Callable[[Shape, int], dict[str, Any]],
    packages: tuple[str, ...],
    rounds: int,
) -> None:
    """Measure every shape in so many rounds unless the command line says otherwise, print the rows, and write
    the JSON after each.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for shape in shapes:
        rows.append(measure(shape, arguments.rounds))
        print(json.dumps(rows[-1]), flush=True)
        if arguments.output:
            save(arguments.output, report(rows, packages, rounds=arguments.rounds))
