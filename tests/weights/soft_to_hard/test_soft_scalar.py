"""Soft assignment of scalars: against the full softmax, its derivatives, its limits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from barycode.weights.soft_to_hard import nearest_rank, soft_counts, soft_scalar

DOUBLE = torch.float64


def some(weights: int, centers: int, seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    w = torch.randn(weights, dtype=DOUBLE, generator=random)
    c = torch.randn(centers, dtype=DOUBLE, generator=random).sort().values
    return w, c


def full_softmax(w: Tensor, c: Tensor, sigma: float) -> Tensor:
    return torch.softmax(-sigma * (w[:, None] - c).square(), 1)


@pytest.mark.parametrize("centers", [1, 2, 3])
def test_it_is_the_softmax_where_every_center_is_a_neighbour(centers: int) -> None:
    w, c = some(50, centers, 0)
    if centers == 3:
        w = w.clamp((c[0] + c[1]) / 2 + 1e-9, (c[1] + c[2]) / 2)  # nearest to the one in the middle
    phi = full_softmax(w, c, 2.5)
    sigma, ranks = torch.tensor(2.5, dtype=DOUBLE), nearest_rank(w, c)
    torch.testing.assert_close(soft_scalar(w, ranks, c, sigma), phi @ c)
    torch.testing.assert_close(soft_counts(w, ranks, c, sigma), phi.sum(0))


def test_centers_farther_than_the_neighbours_hardly_count() -> None:
    w = torch.linspace(-4, 4, 101, dtype=DOUBLE)
    c, sigma = torch.arange(-5, 6, dtype=DOUBLE), torch.tensor(3.0, dtype=DOUBLE)
    soft = soft_scalar(w, nearest_rank(w, c), c, sigma)
    torch.testing.assert_close(soft, full_softmax(w, c, 3.0) @ c, atol=0.01, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10_000))
def test_derivatives(centers: int, seed: int) -> None:
    w, c = some(12, centers, seed)
    ranks = nearest_rank(w, c)
    arguments = (w.requires_grad_(), c.requires_grad_(), torch.tensor(1.7, dtype=DOUBLE, requires_grad=True))

    def both(w: Tensor, c: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return soft_scalar(w, ranks, c, sigma), soft_counts(w, ranks, c, sigma)

    assert torch.autograd.gradcheck(both, arguments)


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    w, c = some(10, 4, 1)
    soft_scalar(
        w.requires_grad_(), nearest_rank(w.detach(), c), c, torch.tensor(1.0, dtype=DOUBLE)
    ).sum().backward()
    assert w.grad is not None
    assert c.grad is None


def test_it_becomes_hard() -> None:
    w, c = some(200, 9, 2)
    ranks = nearest_rank(w, c)
    sharp = torch.tensor(1e12, dtype=DOUBLE)
    torch.testing.assert_close(soft_scalar(w, ranks, c, sharp), c[ranks])
    torch.testing.assert_close(soft_counts(w, ranks, c, sharp), torch.bincount(ranks, minlength=9).to(DOUBLE))


@pytest.mark.parametrize("shape", [(), (0,), (3, 1, 2)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    w, c = torch.zeros(shape).requires_grad_(), torch.tensor([-1.0, 0.0, 1.0])
    ranks, sigma = nearest_rank(w.detach(), c), torch.tensor(2.0)
    soft = soft_scalar(w, ranks, c, sigma)
    (soft.sum() + soft_counts(w, ranks, c, sigma)[0]).backward()
    assert soft.shape == w.grad.shape == shape


def test_nearest_rank_takes_the_lower_at_the_same_distance() -> None:
    c = torch.tensor([-1.0, 0.0, 1.0])
    assert nearest_rank(torch.tensor([-9.0, -0.5, 0.5, 0.51, 9.0]), c).tolist() == [0, 0, 1, 2, 2]
