"""The trellis beside codebooks, scalar and vector, own and shared: bytes at equal distortion.

    python benchmarks/weight_codebooks.py model.safetensors --output benchmarks/results/weight_codebooks.json

All on one network without balance or leveled columns, normalisation treated alike; whole files,
codebooks included. `trellis of it`: bytes of the trellis at the same SQNR of the matrices over the row's, by
interpolation of the bytes in dB.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors.torch import load_file
from torch import Tensor

from barycode.benchmarks.timing import report, save
from barycode.weights import DEFAULT_RULES, Cluster, Quantize, Rule, Step, Vectors, explain
from barycode.weights.request.rules import Treatment

STEPS = (0.11, 0.09, 0.07, 0.055, 0.042, 0.032, 0.025, 0.018)
CODEBOOKS = (
    Cluster(8),
    Vectors(17, 1, 0.04, shared=True),
    Vectors(64, 2, 0.08, shared=True),
    Vectors(256, 4, 0.0, shared=True),
    Vectors(256, 4, 0.15, shared=True),
    Vectors(1024, 4, 0.1, shared=True),
    Vectors(256, 8, 0.3, shared=True),
    Vectors(1024, 8, 0.3, shared=True),
    Vectors(64, 2, 0.08),
    Vectors(64, 4, 0.2),
)
Row = dict[str, object]


def coded(state: dict[str, Tensor], treatment: Treatment, step: float) -> tuple[int, float]:
    """Bytes of the file, and SQNR in dB of the tensors that the treatment is for."""
    rules = (*DEFAULT_RULES[:2], Rule("*", treatment, "matrices"))
    compressed = explain(state, Step(step), rules=rules)
    reports = [report for report in compressed.report.tensors if report.reason == "matrices"]
    noise, signal = sum(report.noise for report in reports), sum(report.signal for report in reports)
    return len(compressed.data), 10 * math.log10(signal / noise)


def rows(state: dict[str, Tensor]) -> Iterator[Row]:
    curve = sorted(coded(state, Quantize(), step)[::-1] for step in STEPS)
    for decibels, size in curve:
        yield {"what": "trellis", "bytes": size, "dB": round(decibels, 2)}
    for treatment in CODEBOOKS:
        size, decibels = coded(state, treatment, 1.0)
        trellis = float(np.interp(decibels, *zip(*curve, strict=True)))
        share = round(trellis / size, 3) if curve[0][0] <= decibels <= curve[-1][0] else None
        yield {"what": str(treatment), "bytes": size, "dB": round(decibels, 2), "trellis of it": share}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="a .safetensors file of a small network")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    found = []
    for row in rows(load_file(arguments.checkpoint)):
        found.append(row)
        print("  ".join(f"{key}: {value}" for key, value in row.items()), flush=True)
    if arguments.output:
        save(arguments.output, report(found, ("torch", "numpy", "constriction")))


if __name__ == "__main__":
    main()
