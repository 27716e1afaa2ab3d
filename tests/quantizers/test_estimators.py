import torch

from barycode.quantizers import rotation_trick, straight_through


def test_values_are_exact_and_straight_through_passes_the_gradient_on():
    z = (torch.randn(50, 7) * 1e3).requires_grad_()
    q = torch.randn(50, 7) * 1e-3
    g = torch.randn(50, 7)
    for estimator in (straight_through, rotation_trick):
        assert torch.equal(estimator(z, q), q)
    (grad,) = torch.autograd.grad(straight_through(z, q), z, g)
    assert torch.equal(grad, g)


def rotation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The rotation of the plane of a and b that takes unit a to unit b, by Rodrigues' formula."""
    skew = torch.outer(b, a) - torch.outer(a, b)
    return torch.eye(len(a), dtype=a.dtype) + skew + skew @ skew / (1 + a @ b)


def test_rotation_trick_is_the_scaled_rotation():
    torch.manual_seed(0)
    z = torch.randn(4, dtype=torch.float64, requires_grad=True)
    q = torch.randn(4, dtype=torch.float64)
    expected = q.norm() / z.norm() * rotation((z / z.norm()).detach(), q / q.norm())
    jacobian = torch.autograd.functional.jacobian(lambda x: rotation_trick(x, q), z)
    torch.testing.assert_close(jacobian, expected.detach())
    torch.testing.assert_close(jacobian @ z, q)


def test_rotation_trick_goes_straight_through_where_no_rotation_is_defined():
    z = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    q = torch.tensor([[1.0, 0.0], [0.0, 0.0], [-2.0, 0.0]])
    g = torch.randn(3, 2)
    (grad,) = torch.autograd.grad(rotation_trick(z, q), z, g)
    assert torch.equal(grad, g)
