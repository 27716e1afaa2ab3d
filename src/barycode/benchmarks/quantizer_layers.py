"""Quantizer layers in training beside plain vector quantization, and vector-quantize-pytorch where it is.

Every layer runs once a round, in turn; the figure is its time over that of the reference: blocks of
`addmm + argmin`, code vectors looked up, straight-through gradient and both squared errors.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from barycode.benchmarks.timing import Method, quartiles, ratios, take_turns
from barycode.quantizers import (
    Quantizer,
    RelaxedProgram,
    ResidualQuantizer,
    SoftConvexQuantizer,
    VectorQuantizer,
    farthest,
)

REFERENCE = "plain blocks"
VECTORS, DIM, SIZE = 16384, 64, 512
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
    """The reference, ours, and those of the peer where it is installed."""
    codebook, size, dim = shape.codebook(), shape.size, shape.dim
    return {
        REFERENCE: plain(codebook),
        "VectorQuantizer": ours(VectorQuantizer(size, dim), codebook),
        "SoftConvexQuantizer, relaxed": ours(
            SoftConvexQuantizer(size, dim, program=RelaxedProgram()), codebook
        ),
        "SoftConvexQuantizer, exact": ours(SoftConvexQuantizer(size, dim), codebook),
        "ResidualQuantizer x4": ours(ResidualQuantizer(size, dim, stages=4), codebook),
    } | _peers(size, dim)


def _peers(size: int, dim: int) -> dict[str, Layer]:
    if find_spec("vector_quantize_pytorch") is None:
        return {}
    peer = importlib.import_module("vector_quantize_pytorch")
    modules = {
        "VectorQuantize": peer.VectorQuantize(dim=dim, codebook_size=size),
        "FSQ": peer.FSQ(FSQ_LEVELS, dim=dim),
        "ResidualVQ x4": peer.ResidualVQ(dim=dim, codebook_size=size, num_quantizers=4),
    }
    return {f"vector-quantize-pytorch {name}": theirs(module) for name, module in modules.items()}


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
