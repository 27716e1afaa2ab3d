from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.initialization import kmeans
from barycode.quantizers.codebook.kmeans_1d import MAX_CELLS, kmeans_1d

VALUES = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=9)


def error(values, centers, weights=None):
    nearest = (values[:, None] - centers).square().min(1).values
    return float((nearest if weights is None else nearest * weights).sum())


def best_by_trial(values, clusters, weights):
    """The least error over all ways to cut the sorted values into intervals."""
    order = values.argsort()
    values, weights = values[order], weights[order]
    best = float("inf")
    for count in range(1, min(clusters, len(values)) + 1):
        for cuts in combinations(range(1, len(values)), count - 1):
            edges = [0, *cuts, len(values)]
            total = 0.0
            for a, b in pairwise(edges):
                mass = weights[a:b].sum()
                center = (values[a:b] * weights[a:b]).sum() / mass.clamp_min(1e-300)
                total += float((weights[a:b] * (values[a:b] - center).square()).sum())
            best = min(best, total)
    return best


@given(VALUES, st.integers(1, 5), st.data())
@settings(max_examples=60, deadline=None)
def test_no_clustering_is_better(numbers, clusters, data):
    values = torch.tensor(numbers, dtype=torch.float64)
    weights = torch.tensor(
        data.draw(st.lists(st.integers(1, 9), min_size=len(numbers), max_size=len(numbers)))
    ).double()
    centers = kmeans_1d(values, clusters, weights)
    assert len(centers) <= clusters
    assert bool((centers.diff() >= 0).all())
    scale = 1 + float((weights * values.square()).sum())
    assert error(values, centers, weights) <= best_by_trial(values, clusters, weights) + 1e-9 * scale


def test_few_values_are_the_centers():
    assert kmeans_1d(torch.tensor([3.0, 1.0, 1.0, 3.0]), 8).tolist() == [1.0, 3.0]


def test_weightless_values_do_not_count():
    centers = kmeans_1d(torch.tensor([0.0, 1.0, 50.0]), 2, torch.tensor([1.0, 1.0, 0.0]))
    assert centers.tolist() == [0.0, 1.0]


def test_many_values_are_better_served_than_by_lloyd():
    values = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    assert len(values.unique()) > MAX_CELLS
    lloyd = kmeans(values[:, None], 12, generator=torch.Generator().manual_seed(0))[:, 0]
    assert error(values, kmeans_1d(values, 12)) <= error(values, lloyd) * 1.0005


@pytest.mark.parametrize(
    ("values", "clusters", "weights"),
    [
        (torch.zeros(0), 2, None),
        (torch.zeros(2, 2), 2, None),
        (torch.tensor([1.0, torch.nan]), 2, None),
        (torch.zeros(3), 0, None),
        (torch.zeros(3), 2, torch.tensor([1.0, -1.0, 1.0])),
        (torch.zeros(3), 2, torch.zeros(3)),
        (torch.zeros(3), 2, torch.ones(2)),
    ],
)
def test_bad_input(values, clusters, weights):
    with pytest.raises(InvalidInputError):
        kmeans_1d(values, clusters, weights)
