"""Quantizer layers in training beside plain vector quantization and vector-quantize-pytorch.

    python benchmarks/peers.py .venv-peers
    .venv-peers/bin/python benchmarks/quantizer_layers.py --output benchmarks/results/quantizer_layers.json

Every layer runs once a round, in turn; the figure is its time over that of the reference: blocks of
`addmm + argmin`, code vectors looked up, straight-through gradient and both squared errors. Memory is what a
fresh process's peak rises by.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import vector_quantize_pytorch as peer
from timing import Method, peak_megabytes, quartiles, ratios, report, save, take_turns
from torch import Tensor
from torch.nn import functional

from barycode.quantizers import (
    Quantizer,
    RelaxedProgram,
    ResidualQuantizer,
    SoftConvexQuantizer,
    VectorQuantizer,
    farthest,
)

REFERENCE = "plain blocks"
DIM, SIZE = 64, 512
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
BLOCK = 2**18  # scores of the reference in flight
FSQ_LEVELS = [8, 8, 8]
Layer = Callable[[Tensor], tuple[Tensor, Tensor]]  # z (n, d) -> quantized (n, d), loss


@dataclass(frozen=True)
class Shape:
    """n vectors of dimension d and a codebook of K of them, spread over the data."""

    n: int
    dim: int
    size: int

    def vectors(self) -> Tensor:
        return torch.randn(self.n, self.dim, generator=torch.Generator().manual_seed(0))

    def codebook(self) -> Tensor:
        others = torch.randn(8 * self.size, self.dim, generator=torch.Generator().manual_seed(1))
        return farthest(others, self.size)


def plain(codebook: Tensor) -> Layer:
    """Vector quantization as one would write it, in blocks."""
    codes = codebook.clone().requires_grad_()
    rows = max(128, BLOCK // len(codes))

    def indices_of(z: Tensor) -> Tensor:
        with torch.no_grad():
            half = codes.square().sum(1) / 2
            return torch.cat([torch.addmm(half, part, codes.T, alpha=-1).argmin(1) for part in z.split(rows)])

    def layer(z: Tensor) -> tuple[Tensor, Tensor]:
        chosen = functional.embedding(indices_of(z), codes)
        loss = functional.mse_loss(chosen, z.detach()) + functional.mse_loss(z, chosen.detach()) / 4
        return z + (chosen - z).detach(), loss

    return layer


def ours(quantizer: Quantizer, codebook: Tensor) -> Layer:
    for part in quantizer.codebooks:
        part.load(codebook)

    def layer(z: Tensor) -> tuple[Tensor, Tensor]:
        quantized, _, loss = quantizer(z)
        return quantized, loss

    return layer


def theirs(module: torch.nn.Module) -> Layer:
    def layer(z: Tensor) -> tuple[Tensor, Tensor]:
        quantized, *rest = module(z[None])
        loss = rest[-1] if len(rest) > 1 else z.new_zeros(())
        return quantized[0], loss.sum()

    return layer


def layers(shape: Shape) -> dict[str, Layer]:
    """The reference, ours, and the peers'."""
    codebook, size, dim = shape.codebook(), shape.size, shape.dim
    return {
        REFERENCE: plain(codebook),
        "VectorQuantizer": ours(VectorQuantizer(size, dim), codebook),
        "SoftConvexQuantizer, relaxed": ours(
            SoftConvexQuantizer(size, dim, program=RelaxedProgram()), codebook
        ),
        "SoftConvexQuantizer, exact": ours(SoftConvexQuantizer(size, dim), codebook),
        "ResidualQuantizer x4": ours(ResidualQuantizer(size, dim, stages=4), codebook),
        "vector-quantize-pytorch VectorQuantize": theirs(peer.VectorQuantize(dim=dim, codebook_size=size)),
        "vector-quantize-pytorch FSQ": theirs(peer.FSQ(FSQ_LEVELS, dim=dim)),
        "vector-quantize-pytorch ResidualVQ x4": theirs(
            peer.ResidualVQ(dim=dim, codebook_size=size, num_quantizers=4)
        ),
    }


def step(layer: Layer, z: Tensor, backward: bool) -> None:
    """One pass of training: gradients reach z and the codebook."""
    if not backward:
        with torch.no_grad():
            layer(z)
        return
    z = z.clone().requires_grad_()
    quantized, loss = layer(z)
    (quantized.square().sum() + loss).backward()


def methods(shape: Shape, backward: bool, names: list[str]) -> dict[str, Method]:
    z, built = shape.vectors(), layers(shape)
    return {name: partial(step, built[name], z, backward) for name in names}


def row(shape: Shape, backward: bool, rounds: int, names: list[str]) -> dict[str, Any]:
    """Milliseconds of the reference, and the others' times over it."""
    times = take_turns(methods(shape, backward, names), rounds)
    return {
        "vectors": shape.n,
        "dim": shape.dim,
        "codebook_size": shape.size,
        "what": "forward + backward" if backward else "forward",
        "reference_ms": quartiles([1e3 * value for value in times[REFERENCE]]),
        "time_over_reference": ratios(times, REFERENCE),
    }


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
    parser.add_argument("--vectors", type=int, default=16384)
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
