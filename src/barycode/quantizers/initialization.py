"""Ways to start a codebook: functions (vectors, K) -> (K, d), for `quantizer.initialize(z, kmeans)`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers.nearest import nearest
from barycode.quantizers.statistics import CodebookStatistics


def sample(
    vectors: Float[Tensor, "n d"], codebook_size: int, *, generator: torch.Generator | None = None
) -> Float[Tensor, "k d"]:
    """K of the vectors, drawn without replacement."""
    if vectors.ndim != 2 or vectors.shape[0] < codebook_size:
        raise InvalidInputError(
            f"A codebook of {codebook_size} needs at least as many vectors (N, d) to start from, "
            f"not {tuple(vectors.shape)}."
        )
    chosen = torch.randperm(vectors.shape[0], generator=generator)[:codebook_size]
    return vectors.detach()[chosen.to(vectors.device)].clone()


def uniform(
    vectors: Float[Tensor, "n d"], codebook_size: int, *, generator: torch.Generator | None = None
) -> Float[Tensor, "k d"]:
    """K points drawn uniformly from the bounding box of the vectors."""
    if vectors.ndim != 2 or vectors.shape[0] == 0:
        raise InvalidInputError(f"A bounding box needs vectors (N, d), N > 0, not {tuple(vectors.shape)}.")
    low, high = vectors.detach().aminmax(dim=0)
    fractions = torch.rand(codebook_size, vectors.shape[1], generator=generator)
    return torch.lerp(low, high, fractions.to(vectors))


@torch.no_grad()
def kmeans(
    vectors: Float[Tensor, "n d"],
    codebook_size: int,
    *,
    iterations: int = 20,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "k d"]:
    """Lloyd's algorithm on mean ||z - c_nearest||^2, from random vectors; memory bounded by one block.

    A cluster that loses all its vectors restarts at one of the worst served. Stops early at a fixed point.
    """
    centers = sample(vectors, codebook_size, generator=generator)
    previous = None
    for _ in range(iterations):
        indices = nearest(vectors, centers)
        if previous is not None and torch.equal(indices, previous):
            break
        previous = indices
        centers = _cluster_means(vectors, indices, centers)
    return centers


def _cluster_means(vectors: Tensor, indices: Tensor, centers: Tensor) -> Tensor:
    statistics = CodebookStatistics.gather(vectors, indices, centers.shape[0])
    means = (statistics.sums / statistics.counts.clamp_min(1)[:, None]).to(centers)
    empty = (statistics.counts == 0).nonzero().flatten()
    if empty.numel():
        errors = (vectors - centers[indices]).square().sum(1)
        means[empty] = vectors[errors.topk(empty.numel()).indices]
    return means
