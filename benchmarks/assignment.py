"""Nearest-neighbour assignment beside other libraries: time ratios of interleaved runs.

    python -m venv peers && peers/bin/pip install -e . faiss-cpu vector-quantize-pytorch
    peers/bin/python benchmarks/assignment.py --threads 1 --output benchmarks/assignment.json

Each method runs once a round, in turn, in one process; the figure is the median over the rounds of
(its time / ours in that round), so that whatever else the machine does hits all of them alike. With one
thread the clock counts the process's own time, which a busy machine disturbs less than the wall's.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import torch
import vector_quantize_pytorch

from barycode.quantizers import nearest

SHAPES = [(65536, 16, 128), (4096, 256, 1024), (16384, 64, 512), (16384, 64, 8192)]
Method = Callable[[], object]
Clock = Callable[[], float]


def methods(n: int, dim: int, size: int) -> dict[str, Method]:
    """Each peer's way to the indices of the same n vectors; ours first."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, dim, generator=generator)
    codebook = torch.randn(size, dim, generator=generator)
    index = faiss.IndexFlatL2(dim)
    index.add(codebook.numpy())
    peer = vector_quantize_pytorch.VectorQuantize(dim=dim, codebook_size=size).eval()
    peer.codebook = codebook
    half_norms = codebook.square().sum(1) / 2
    return {
        "barycode": lambda: nearest(z, codebook),
        "faiss IndexFlatL2": lambda: torch.from_numpy(index.search(z.numpy(), 1)[1][:, 0]),
        "vector-quantize-pytorch, eval": lambda: peer(z)[1],
        "addmm + argmin, one block": lambda: torch.addmm(half_norms, z, codebook.T, alpha=-1).argmin(1),
        "matrix product alone": lambda: z @ codebook.T,
    }


def measure(shape: tuple[int, int, int], rounds: int, clock: Clock) -> dict[str, object]:
    """One row: our milliseconds, and each peer's time as a multiple of ours."""
    candidates = methods(*shape)
    with torch.no_grad():
        agreement = nearest_agreement(candidates)
        times: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(rounds):
            for name, method in candidates.items():
                start = clock()
                method()
                times[name].append(clock() - start)
    ratios = {name: quartiles(values, times["barycode"]) for name, values in times.items()}
    n, dim, size = shape
    return {
        "vectors": n,
        "dim": dim,
        "codebook_size": size,
        "barycode_ms": round(1e3 * statistics.median(times["barycode"]), 2),
        "time_over_barycode": {name: ratio for name, ratio in ratios.items() if name != "barycode"},
        "agreement": agreement,
    }


def nearest_agreement(candidates: dict[str, Method]) -> dict[str, float]:
    """The fraction of indices equal to ours; also the warm-up."""
    ours = candidates["barycode"]()
    return {
        name: float((method() == ours).float().mean())
        for name, method in candidates.items()
        if name not in ("barycode", "matrix product alone")
    }


def quartiles(values: list[float], ours: list[float]) -> list[float]:
    """[median, lower quartile, upper quartile] of the ratios round by round."""
    ratios = [value / own for value, own in zip(values, ours, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return [round(ratio, 2) for ratio in (middle, low, high)]


def main() -> None:
    """Measure every shape, print a table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    rows = []
    for shape in SHAPES:
        row = measure(shape, arguments.rounds, clock)
        rows.append(row)
        print(json.dumps(row))
    report = {
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "processor": platform.processor() or platform.machine(),
        "versions": {"torch": torch.__version__, "faiss": faiss.__version__},
        "ratios": "[median, lower quartile, upper quartile] of time / barycode's time, round by round",
        "rows": rows,
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
