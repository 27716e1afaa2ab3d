"""Nearest-neighbour assignment beside other libraries: time ratios of interleaved runs.

    python benchmarks/peers.py .venv-peers
    .venv-peers/bin/python benchmarks/assignment.py --output benchmarks/results/assignment.json

Each method runs once a round, in turn, in one process; the figure is the median over the rounds of
(its time / ours in that round), so that whatever else the machine does hits all of them alike.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import faiss
import torch
import vector_quantize_pytorch
from timing import Method, quartiles, ratios, report, save, take_turns

from barycode.quantizers import nearest

SHAPES = [(65536, 16, 128), (4096, 256, 1024), (16384, 64, 512), (16384, 64, 8192)]
OURS, PRODUCT = "barycode", "matrix product alone"


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
        OURS: lambda: nearest(z, codebook),
        "faiss IndexFlatL2": lambda: torch.from_numpy(index.search(z.numpy(), 1)[1][:, 0]),
        "vector-quantize-pytorch, eval": lambda: peer(z)[1],
        "addmm + argmin, one block": lambda: torch.addmm(half_norms, z, codebook.T, alpha=-1).argmin(1),
        PRODUCT: lambda: z @ codebook.T,
    }


def measure(shape: tuple[int, int, int], rounds: int) -> dict[str, object]:
    """One row: our milliseconds, and each peer's time as a multiple of ours."""
    candidates = methods(*shape)
    with torch.no_grad():
        ours = candidates[OURS]()
        agreement = {
            name: float((method() == ours).float().mean())
            for name, method in candidates.items()
            if name not in (OURS, PRODUCT)
        }
        times = take_turns(candidates, rounds)
    n, dim, size = shape
    return {
        "vectors": n,
        "dim": dim,
        "codebook_size": size,
        "barycode_ms": quartiles([1e3 * value for value in times[OURS]]),
        "time_over_barycode": ratios(times, OURS),
        "agreement": agreement,
    }


def main() -> None:
    """Measure every shape, print the rows and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    rows = []
    for shape in SHAPES:
        rows.append(measure(shape, arguments.rounds))
        print(json.dumps(rows[-1]), flush=True)
    if arguments.output:
        packages = ("faiss-cpu", "vector-quantize-pytorch")
        save(arguments.output, report(rows, packages, rounds=arguments.rounds))


if __name__ == "__main__":
    main()
