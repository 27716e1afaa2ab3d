"""What the ranks of torch.distributed tell each other; a rank alone keeps what it has."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from barycode.quantizers.codebook.codebook import Codebook


def gather(vectors: Float[Tensor, "n d"]) -> Float[Tensor, "m d"]:
    """The vectors of every rank in the order of the ranks, whose batches may be of different sizes, or empty.

    Every rank must call it. `quantizer.initialize(gather(z), method)` with a `method` whose generator has one
    seed starts all ranks alike.
    """
    if not _distributed():
        return vectors
    counts = _gather_alike(torch.tensor([len(vectors)], device=vectors.device))
    longest = max(int(count) for count in counts)
    parts = _gather_alike(functional.pad(vectors, (0, 0, 0, longest - len(vectors))))
    return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])


@torch.no_grad()
def share(codebooks: Iterable[Codebook]) -> None:
    """Every rank gets rank 0's code vectors and counts."""
    if _distributed():
        for codebook in codebooks:
            dist.broadcast(codebook.vectors, 0)
            dist.broadcast(codebook.counts, 0)


def total(values: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """The sum over all ranks of the group; a rank alone keeps what it has. Every rank must call it."""
    if not _distributed():
        return values
    summed = values.clone()
    dist.all_reduce(summed, group=group)
    return summed


def agreed(number: int, device: torch.device) -> int:
    """Rank 0's number on every rank."""
    if not _distributed():
        return number
    shared = torch.tensor(number, device=device)
    dist.broadcast(shared, 0)
    return int(shared)


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def _gather_alike(tensor: Tensor) -> list[Tensor]:
    """A tensor of the same shape from each rank."""
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return parts
