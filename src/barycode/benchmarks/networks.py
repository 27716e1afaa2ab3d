"""The network codec beside Zstandard: bits a weight, and megabytes of tensors a second each way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import zstandard
from torch import Tensor

from barycode.benchmarks.timing import quartiles, take_turns
from barycode.weights import Lossless, compress, decompress

Pack = Callable[[], bytes]
Unpack = Callable[[bytes], Any]


def made_up(megabytes: float) -> dict[str, Tensor]:
    """Layers of a transformer with heavy tails, rows and columns of their own scale, as in real ones."""
    generator = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    shapes = [(1024, 1024), (4096, 1024), (1024, 4096), (1024,), (4096,)]
    while sum(tensor.nbytes for tensor in tensors.values()) < megabytes * 1e6:
        shape = shapes[len(tensors) % len(shapes)]
        weight = torch.randn(shape, generator=generator)
        weight *= torch.randn(shape, generator=generator).mul_(0.3).exp_()
        for axis, extent in enumerate(shape):
            scale = torch.randn(extent, generator=generator).mul_(0.3).exp_()
            weight *= scale.reshape([-1 if axis == place else 1 for place in range(len(shape))])
        tensors[f"layer.{len(tensors)}.weight"] = weight * 0.05
    return tensors


def programs(state: Mapping[str, Tensor]) -> list[tuple[str, Pack, Unpack]]:
    """Barycode's targets, and Zstandard with all tensors as one run of bytes."""
    raw = b"".join(t.contiguous().flatten().view(torch.uint8).numpy().tobytes() for t in state.values())
    return [
        ("errors of 2 % (default)", partial(compress, state), decompress),
        ("lossless, dense", partial(compress, state, Lossless()), decompress),
        ("lossless, quick", partial(compress, state, Lossless("quick")), decompress),
        ("zstd -3", partial(zstandard.compress, raw, 3), zstandard.decompress),
    ]


def measure(
    name: str, pack: Pack, unpack: Unpack, state: Mapping[str, Tensor], rounds: int
) -> dict[str, Any]:
    """A row: bits a weight of whole files, megabytes of tensors a second in and out."""
    data = pack()
    megabytes = sum(tensor.nbytes for tensor in state.values()) / 1e6
    times = take_turns({"in": pack, "out": partial(unpack, data)}, rounds)
    return {
        "what": name,
        "bits_per_weight": 8 * len(data) / sum(tensor.numel() for tensor in state.values()),
        "speeds": {
            way: quartiles([megabytes / seconds for seconds in found]) for way, found in times.items()
        },
    }
