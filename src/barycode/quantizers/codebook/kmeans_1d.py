"""k-means on the line, where it has an exact answer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.errors import InvalidInputError

MAX_CELLS = 1024  # distinct places that the dynamic program distinguishes


@torch.no_grad()
def kmeans_1d(
    values: Float[Tensor, " n"], codebook_size: int, weights: Float[Tensor, " n"] | None = None
) -> Float[Tensor, " k"]:
    """The sorted centers c of least sum_i w_i min_k (v_i - c_k)**2; at most K of them.

    On a line clusters are intervals, so a dynamic program over sorted values is exact (Bellman 1973; Wang and
    Song 2011): D_k(j) = min over i of D_{k-1}(i) + cost(i, j), O(K cells**2). Up to 1024 distinct values it
    is exact. Beyond, cluster boundaries are restricted to the edges of about 1024 cells, half of them of
    equal width and half of equal count; within that restriction it is exact too. With fewer distinct values
    than K, those values are the centers. Weights must be non-negative. Raises InvalidInputError.
    """
    _check(values, codebook_size, weights)
    mass = torch.ones_like(values) if weights is None else weights
    places, masses = _cells(values.double(), mass.double())
    ends = _boundaries(places, masses, min(codebook_size, len(places)))
    edges = [0, *ends]
    centers = [
        (places[a:b] * masses[a:b]).sum() / masses[a:b].sum() for a, b in zip(edges, ends, strict=False)
    ]
    return torch.stack(centers).to(values.dtype)


def _check(values: Tensor, codebook_size: int, weights: Tensor | None) -> None:
    if values.ndim != 1 or not values.numel() or not bool(values.isfinite().all()):
        raise InvalidInputError(
            f"Values of shape {tuple(values.shape)}: expected finite numbers (N,), N > 0."
        )
    if codebook_size < 1:
        raise InvalidInputError(f"A codebook of {codebook_size} centers: expected 1 or more.")
    if weights is not None and (weights.shape != values.shape or bool((weights < 0).any())):
        raise InvalidInputError("The weights are not non-negative numbers, one for each value.")
    if weights is not None and not bool(weights.any()):
        raise InvalidInputError("All weights are zero: at least one value must count.")


def _cells(values: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted places and masses of distinct values, or of cells of values where there are too many."""
    counted = mass > 0
    places, inverse = values[counted].unique(return_inverse=True)
    masses = torch.zeros_like(places).index_add_(0, inverse, mass[counted])
    if len(places) <= MAX_CELLS:
        return places, masses
    half = MAX_CELLS // 2
    by_count = places[torch.arange(1, half) * len(places) // half]
    edges = torch.cat([by_count, torch.linspace(places[0], places[-1], half + 1, dtype=places.dtype)[1:-1]])
    cells = torch.bucketize(places, edges.sort().values, right=True)
    moments = torch.zeros(2, len(edges) + 1, dtype=places.dtype)
    moments.index_add_(1, cells, torch.stack([masses, masses * places]))
    filled = moments[0] > 0
    return moments[1, filled] / moments[0, filled], moments[0, filled]


def _boundaries(places: Tensor, masses: Tensor, clusters: int) -> list[int]:
    """Where each cluster ends, by the dynamic program."""
    cost = _interval_costs(places, masses)
    best = cost[0]
    choices = []
    for _ in range(clusters - 1):
        best, choice = (best[:, None] + cost).min(0)
        choices.append(choice)
    ends = [len(places)]
    for choice in reversed(choices):
        ends.append(int(choice[ends[-1]]))
    return ends[::-1]


def _interval_costs(places: Tensor, masses: Tensor) -> Tensor:
    """(cells + 1, cells + 1): squared error of one center for cells i ... j - 1; infinite unless i < j."""
    centered = places - (places * masses).sum() / masses.sum()  # so that differences of squares stay accurate
    zero = torch.zeros(1, dtype=places.dtype)
    sums = [torch.cat([zero, (masses * centered**power).cumsum(0)]) for power in range(3)]
    mass, first, second = (s[None] - s[:, None] for s in sums)
    costs = (second - first**2 / mass).clamp_min(0)
    above = torch.ones_like(costs, dtype=torch.bool).triu(1)
    return torch.where(above, costs, torch.inf)
