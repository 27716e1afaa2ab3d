"""Ways to start a codebook: functions (vectors, K) -> (K, d), for `quantizer.initialize(z, kmeans)`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.statistics import CodebookStatistics
from barycode.simplex.nearest import nearest

SEED_CANDIDATES = 32  # vectors considered for each seed of k-means
CANDIDATES = 128  # ... and for each of the farthest points


def sample(
    vectors: Float[Tensor, "n d"], codebook_size: int, *, generator: torch.Generator | None = None
) -> Float[Tensor, "k d"]:
    """K of the vectors, drawn without replacement."""
    _check(vectors, codebook_size)
    chosen = torch.randperm(vectors.shape[0], generator=generator)[:codebook_size]
    return vectors.detach()[chosen.to(vectors.device)].clone()


def uniform(
    vectors: Float[Tensor, "n d"], codebook_size: int, *, generator: torch.Generator | None = None
) -> Float[Tensor, "k d"]:
    """K points drawn uniformly from the bounding box of the vectors."""
    _check(vectors, 1)
    low, high = vectors.detach().aminmax(dim=0)
    fractions = torch.rand(codebook_size, vectors.shape[1], generator=generator)
    return torch.lerp(low, high, fractions.to(vectors))


@torch.no_grad()
def farthest(
    vectors: Float[Tensor, "n d"], codebook_size: int, *, generator: torch.Generator | None = None
) -> Float[Tensor, "k d"]:
    """K of the vectors that span the data: each the farthest from those before it (Gonzalez 1985).

    The first is the farthest from the mean. Suits convex quantization, whose codes need a hull around the
    data; at most CANDIDATES * K vectors, drawn at random, are looked at.
    """
    drawn = min(vectors.shape[0], CANDIDATES * codebook_size)
    candidates = sample(vectors, max(codebook_size, drawn), generator=generator)
    distances = (candidates - candidates.mean(0)).square().sum(1)
    chosen = [distances.argmax()]
    distances.fill_(torch.inf)
    for _ in range(codebook_size - 1):
        distances = torch.minimum(distances, (candidates - candidates[chosen[-1]]).square().sum(1))
        chosen.append(distances.argmax())
    return candidates[torch.stack(chosen)]


@torch.no_grad()
def kmeans(
    vectors: Float[Tensor, "n d"],
    codebook_size: int,
    *,
    iterations: int = 20,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "k d"]:
    """Lloyd's algorithm on mean ||z - c_nearest||^2; memory bounded by one block.

    Starts at vectors drawn far from each other (k-means++, Arthur and Vassilvitskii 2007). A cluster that
    loses all its vectors restarts at one of the worst served. Stops early at a fixed point.
    """
    _check(vectors, codebook_size)
    centers = _spread_seeds(vectors, codebook_size, generator)
    previous = None
    for _ in range(iterations):
        indices = nearest(vectors, centers)
        if previous is not None and torch.equal(indices, previous):
            break
        previous = indices
        centers = _cluster_means(vectors, indices, centers)
    return centers


def _spread_seeds(vectors: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Draw each seed with probability proportional to its squared distance to the seeds before it."""
    considered = max(count, min(vectors.shape[0], SEED_CANDIDATES * count))
    candidates = sample(vectors, considered, generator=generator)
    seeds = [candidates[0]]  # `sample` has shuffled them
    errors = torch.full_like(candidates[:, 0], torch.inf, dtype=torch.float64)
    for _ in range(count - 1):
        errors = torch.minimum(errors, (candidates - seeds[-1]).double().square().sum(1))
        odds = errors if errors.any() else torch.ones_like(errors)
        seeds.append(candidates[int(torch.multinomial(odds.cpu(), 1, generator=generator))])
    return torch.stack(seeds)


def _cluster_means(vectors: Tensor, indices: Tensor, centers: Tensor) -> Tensor:
    statistics = CodebookStatistics.gather(vectors, indices, centers.shape[0])
    means = (statistics.sums / statistics.counts.clamp_min(1)[:, None]).to(centers)
    empty = (statistics.counts == 0).nonzero().flatten()
    if empty.numel():
        errors = (vectors - centers[indices]).square().sum(1)
        means[empty] = vectors[errors.topk(empty.numel()).indices]
    return means


def _check(vectors: Tensor, needed: int) -> None:
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or vectors.shape[0] < needed:
        shape = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors)
        raise InvalidInputError(
            f"A codebook starts from a tensor (N, d) of {needed} vectors or more, not {shape}."
        )
    if not vectors.isfinite().all():
        raise InvalidInputError("A vector to start the codebook from contains a NaN or an infinity.")
