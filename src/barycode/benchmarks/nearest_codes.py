"""Nearest code vectors: ours beside plain products, and beside other libraries where they are.

Each method runs once a round, in turn, in one process; the figure is the median over the rounds of
(its time / ours in that round), so that whatever else the machine does hits all of them alike.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from barycode.benchmarks.timing import quartiles, ratios, take_turns
from barycode.quantizers import nearest

SHAPES = [(65536, 16, 128), (4096, 256, 1024), (16384, 64, 512), (16384, 64, 8192)]
OURS, PRODUCT = "barycode", "matrix product alone"
Assign = Callable[[], Tensor]  # the indices (n,)


def methods(n: int, dim: int, size: int) -> dict[str, Assign]:
    """Each way to the indices of the same n vectors; ours first."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, dim, generator=generator)
    codebook = torch.randn(size, dim, generator=generator)
    half_norms = codebook.square().sum(1) / 2
    return {
        OURS: lambda: nearest(z, codebook),
        **_peers(z, codebook),
        "addmm + argmin, one block": lambda: torch.addmm(half_norms, z, codebook.T, alpha=-1).argmin(1),
        PRODUCT: lambda: z @ codebook.T,
    }


def _peers(z: Tensor, codebook: Tensor) -> dict[str, Assign]:
    found: dict[str, Assign] = {}
    if find_spec("faiss") is not None:
        faiss = importlib.import_module("faiss")
        faiss.omp_set_num_threads(torch.get_num_threads())
        index = faiss.IndexFlatL2(codebook.shape[1])
        index.add(codebook.numpy())
        found["faiss IndexFlatL2"] = lambda: torch.from_numpy(index.search(z.numpy(), 1)[1][:, 0])
    if find_spec("vector_quantize_pytorch") is not None:
        peer = importlib.import_module("vector_quantize_pytorch")
        layer = peer.VectorQuantize(dim=codebook.shape[1], codebook_size=len(codebook)).eval()
        layer.codebook = codebook
        found["vector-quantize-pytorch, eval"] = lambda: layer(z)[1]
    return found


def measure(shape: tuple[int, int, int], rounds: int) -> dict[str, Any]:
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
