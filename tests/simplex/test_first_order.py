import pytest
import torch

from barycode.errors import SecondDerivativeError
from barycode.quantizers.soft.soft_assignment import soft_assign
from barycode.simplex import project_simplex


def soft(z):
    codebook = torch.eye(3, dtype=torch.float64)
    mixed, _ = soft_assign(z, codebook, codebook, torch.tensor(2.0, dtype=torch.float64))
    return mixed


@pytest.mark.parametrize("through", ["a sum", "a square"])
def test_a_penalty_on_the_gradient_is_refused_whether_or_not_the_arriving_gradient_needs_one(through):
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    out = soft(z).square().sum() if through == "a square" else soft(z)[:, 0].sum()
    (slope,) = torch.autograd.grad(out + z.pow(3).sum(), z, create_graph=True)
    with pytest.raises(SecondDerivativeError):
        slope.square().sum().backward()


def test_a_graph_that_nobody_differentiates_is_no_error():
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(soft(z)[:, 0].sum(), z, create_graph=True)
    (plain,) = torch.autograd.grad(soft(z)[:, 0].sum(), z)
    torch.testing.assert_close(slope.detach(), plain)


def test_the_projection_has_second_derivatives():
    z = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradgradcheck(lambda v: project_simplex(v).pow(3), z)
