import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from barycode.errors import InvalidInputError
from barycode.simplex import project_simplex


def bisection(v: np.ndarray) -> np.ndarray:
    """An independent oracle: the threshold by bisection, in float64."""
    low, high = v.max() - 1.0, v.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(v - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(v - (low + high) / 2, 0)


rows = st.integers(1, 200).flatmap(lambda k: arrays(np.float64, k, elements=st.floats(-5, 5, width=32)))


@settings(max_examples=60, deadline=None)
@given(rows)
def test_agrees_with_bisection(v):
    np.testing.assert_allclose(project_simplex(torch.from_numpy(v)).numpy(), bisection(v), atol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 500])
@pytest.mark.parametrize("spread", [1e-6, 1e-2, 1, 100])
def test_agrees_with_bisection_for_supports_of_every_size(size, spread):
    v = torch.randn(20, size, dtype=torch.float64, generator=torch.Generator().manual_seed(size)) * spread
    expected = np.stack([bisection(row) for row in v.numpy()])
    np.testing.assert_allclose(project_simplex(v).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exact_at_a_scale_of_a_billion(dtype):
    v = torch.tensor([[1e9, 0.0, -1e9], [1e9, 1e9, 0.0]], dtype=dtype)
    assert project_simplex(v).tolist() == [[1, 0, 0], [0.5, 0.5, 0]]


@pytest.mark.parametrize("size", [3, 100])
def test_ties_share_evenly(size):
    p = project_simplex(torch.zeros(2, size, dtype=torch.float64))
    torch.testing.assert_close(p, torch.full((2, size), 1 / size, dtype=torch.float64))


def test_a_point_of_the_simplex_stays():
    p = torch.tensor([0.2, 0.0, 0.5, 0.3], dtype=torch.float64)
    torch.testing.assert_close(project_simplex(p), p)


def test_minus_infinity_gets_no_weight():
    v = torch.tensor([0.3, -torch.inf, 0.1])
    assert project_simplex(v)[1] == 0
    assert project_simplex(v).sum() == pytest.approx(1)


@pytest.mark.parametrize("bad", [[float("nan"), 0.0], [float("inf"), 0.0], [-float("inf")] * 2])
def test_undefined_rows_are_refused(bad):
    with pytest.raises(InvalidInputError, match="simplex"):
        project_simplex(torch.tensor([[0.1, 0.2], bad]))


def test_integers_and_empty_rows_are_refused():
    for bad in (torch.zeros(3, 0), torch.zeros(3, 2, dtype=torch.int64)):
        with pytest.raises(InvalidInputError, match="simplex"):
            project_simplex(bad)


@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4), (4,), (2, 3, 4)])
def test_any_leading_shape(shape):
    assert project_simplex(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("size", [5, 80])
def test_first_and_second_derivatives(size):
    v = torch.randn(4, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(project_simplex, v)
    assert torch.autograd.gradgradcheck(project_simplex, v)


def test_the_jacobian_is_the_closed_form():
    v = torch.tensor([0.9, 0.4, -2.0, 0.2], dtype=torch.float64)
    support = (project_simplex(v) > 0).double()
    expected = torch.diag(support) - torch.outer(support, support) / support.sum()
    torch.testing.assert_close(torch.autograd.functional.jacobian(project_simplex, v), expected)
