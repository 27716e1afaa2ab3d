import pytest
import torch
from scipy.cluster.vq import kmeans2

from barycode.errors import InvalidInputError
from barycode.quantizers import CodebookHealth, farthest, kmeans, nearest, sample, spherical_hull, uniform
from barycode.simplex import solve_convex_program


def distortion(vectors: torch.Tensor, centers: torch.Tensor) -> float:
    return (vectors - centers[nearest(vectors, centers)]).square().mean().item()


def test_kmeans_finds_separated_clusters():
    generator = torch.Generator().manual_seed(0)
    true = torch.tensor([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    vectors = true.repeat(50, 1) + torch.randn(150, 2, generator=generator)
    centers = kmeans(vectors, 3, generator=generator)
    assert torch.cdist(true, centers).amin(1).max() < 1


def test_lloyd_steps_are_those_of_scipy():
    generator = torch.Generator().manual_seed(5)
    vectors = torch.randn(500, 3, generator=generator)
    start = kmeans(vectors, 8, iterations=0, generator=torch.Generator().manual_seed(2))
    ours = kmeans(vectors, 8, iterations=10, generator=torch.Generator().manual_seed(2))
    theirs, _ = kmeans2(vectors.double().numpy(), start.double().numpy(), iter=10, minit="matrix")
    torch.testing.assert_close(ours.double(), torch.from_numpy(theirs), rtol=1e-5, atol=1e-5)


def test_more_iterations_never_hurt_and_no_cluster_stays_empty():
    vectors = torch.randn(300, 2).round()  # many duplicates: random starts coincide
    errors = []
    for iterations in (0, 1, 5, 20):
        centers = kmeans(vectors, 20, iterations=iterations, generator=torch.Generator().manual_seed(0))
        errors.append(distortion(vectors, centers))
    assert errors == sorted(errors, reverse=True)


def test_sample_draws_distinct_vectors_of_the_data():
    vectors = torch.arange(10.0).unsqueeze(1)
    chosen = sample(vectors, 10, generator=torch.Generator().manual_seed(0))
    assert sorted(chosen.flatten().tolist()) == vectors.flatten().tolist()


def test_uniform_fills_the_bounding_box():
    vectors = torch.tensor([[0.0, -5.0], [1.0, 5.0]])
    points = uniform(vectors, 1000, generator=torch.Generator().manual_seed(0))
    assert points.shape == (1000, 2)
    assert (points >= vectors[0]).all()
    assert (points <= vectors[1]).all()
    assert points[:, 1].std() > 2.5


@pytest.mark.parametrize("method", [kmeans, sample, farthest])
def test_too_few_vectors_are_a_typed_error(method):
    with pytest.raises(InvalidInputError, match="4 vectors or more"):
        method(torch.zeros(3, 2), 4)


def test_a_box_of_nothing_is_a_typed_error():
    with pytest.raises(InvalidInputError, match="1 vectors or more"):
        uniform(torch.zeros(0, 2), 4)


@pytest.mark.parametrize("method", [kmeans, sample, farthest, uniform])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_vectors_that_are_no_numbers_are_a_typed_error(method, value: float):
    vectors = torch.randn(500, 2)
    vectors[-1, 1] = value
    with pytest.raises(InvalidInputError, match="NaN or an infinity"):
        method(vectors, 4)
    with pytest.raises(InvalidInputError, match=r"ndarray|list"):
        method(vectors.numpy(), 4)


def test_farthest_points_are_the_corners():
    corners = torch.tensor([[9.0, 9.0], [-9.0, 9.0], [9.0, -9.0], [-9.0, -9.0]])
    vectors = torch.cat([corners, torch.randn(200, 2, generator=torch.Generator().manual_seed(0))])
    chosen = farthest(vectors, 4, generator=torch.Generator().manual_seed(1))
    assert {tuple(row) for row in chosen.tolist()} == {tuple(row) for row in corners.tolist()}


def test_farthest_points_are_distinct_while_the_data_are():
    vectors = torch.tensor([[0.0], [0.0], [0.0], [1.0], [2.0]])
    assert farthest(vectors, 3).unique().numel() == 3


def test_a_surrounding_codebook_holds_the_data_and_is_evenly_used():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(4000, 3, generator=generator) * torch.tensor([3.0, 1, 0.3]) + 5
    corners = spherical_hull(vectors, 32, generator=generator)
    weights = solve_convex_program(vectors, corners, 1e-4).weights
    errors = (weights @ corners - vectors).square().sum(1)
    assert float(errors.mean()) < 1e-3 * float(vectors.var(0).sum())
    assert _perplexity(vectors, corners) > 0.9 * 32
    even = kmeans(vectors, 32, generator=generator)
    assert _perplexity(vectors, corners) > _perplexity(vectors, 3 * (even - 5) + 5)


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_a_typed_error(radius):
    with pytest.raises(InvalidInputError, match="radius"):
        spherical_hull(torch.randn(10, 2), 4, radius=radius)


def _perplexity(vectors, corners):
    health = CodebookHealth(len(corners))
    health.update(nearest(vectors, corners))
    return health.perplexity
