"""Ways to start a codebook: functions (vectors, K) -> (K, d), for `quantizer.initialize(z, kmeans)`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.statistics import CodebookStatistics
from barycode.simplex.nearest import nearest

SEED_CANDIDATES, FEWEST_CANDIDATES = 8, 2048  # vectors considered for each seed of k-means, and in all
ROUND = 8  # so many seeds give one more in the next round
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
    """Draw seeds with probability proportional to their squared distance to the seeds before them.

    Seeds are drawn in rounds, each an eighth as many as there are already, so that one product of matrices
    updates all distances (after k-means||, Bahmani et al. 2012). The first seeds come one by one.
    """
    considered = max(count, min(vectors.shape[0], max(FEWEST_CANDIDATES, SEED_CANDIDATES * count)))
    candidates = sample(vectors, considered, generator=generator)
    chosen = torch.zeros(1, dtype=torch.int64, device=vectors.device)  # `sample` has shuffled them
    new = chosen
    errors = torch.full_like(candidates[:, 0], torch.inf, dtype=torch.float64)
    while len(chosen) < count:
        seeds = candidates[new]
        distances = (candidates - seeds[nearest(candidates, seeds)]).double().square().sum(1)
        errors = torch.minimum(errors, distances)
        new = _draw(errors, min(count - len(chosen), 1 + len(chosen) // ROUND), generator)
        chosen = torch.cat([chosen, new])
    return candidates[chosen]


def _draw(odds: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """So many different indices by their odds; any where all odds are zero."""
    possible = int((odds > 0).sum())
    odds = odds if possible else torch.ones_like(odds)
    drawn = torch.multinomial(odds.cpu(), min(count, possible or len(odds)), generator=generator)
    return drawn.to(odds.device)


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
