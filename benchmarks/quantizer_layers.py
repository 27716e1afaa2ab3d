"""The table of quantizer layers: `barycode bench quantizers` at more shapes, with memory, into a file.

    python benchmarks/peers.py .venv-peers
    .venv-peers/bin/python benchmarks/quantizer_layers.py --output benchmarks/results/quantizer_layers.json

Memory is what a fresh process's peak rises by.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
from importlib import import_module
from pathlib import Path

import torch

from barycode.benchmarks.quantizer_layers import DIM, SIZE, VECTORS, Shape, layers, methods, row
from barycode.benchmarks.timing import peak_megabytes, report, save
from barycode.machine_code import INSTALLED

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h


def memory(shape: Shape) -> dict[str, float]:
    """Megabytes of forward and backward, each layer in a process of its own."""
    context = multiprocessing.get_context("fork")
    found = {}
    for name in layers(Shape(16, shape.dim, 2)):
        with context.Pool(1) as pool:
            found[name] = pool.apply(_memory_of, (shape, name))
    return found


def _memory_of(shape: Shape, name: str) -> float:
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**16)  # what is freed goes back to the system
    if INSTALLED:
        import_module("numba")  # which takes what it takes for all
    methods(Shape(64, shape.dim, 64), True, [name])[name]()  # what any first call loads does not count
    return peak_megabytes(methods(shape, True, [name])[name])


def sweep(main_shape: Shape) -> list[Shape]:
    """One of N, K and d varied at a time."""
    n = main_shape.n
    sizes = [
        (n // 4, DIM, SIZE),
        (n, DIM, SIZE // 4),
        (n, DIM, 4 * SIZE),
        (n, DIM // 4, SIZE),
        (n, 4 * DIM, SIZE),
    ]
    return [Shape(*size) for size in sizes]


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--vectors", type=int, default=VECTORS)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    main_shape = Shape(arguments.vectors, DIM, SIZE)
    everything = list(layers(Shape(16, DIM, 2)))
    own = [name for name in everything if "pytorch" not in name and "x4" not in name]
    megabytes = memory(main_shape)
    print(json.dumps(megabytes), flush=True)
    rows = []
    for shape, names in [(main_shape, everything), *((shape, own) for shape in sweep(main_shape))]:
        for backward in (False, True):
            rows.append(row(shape, backward, arguments.rounds, names))
            print(json.dumps(rows[-1]), flush=True)
            if arguments.output:
                settings = {"rounds": arguments.rounds, "megabytes": megabytes}
                save(arguments.output, report(rows, ("vector-quantize-pytorch",), **settings))


if __name__ == "__main__":
    main()
