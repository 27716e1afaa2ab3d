import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import FiniteScalarQuantizer
from barycode.quantizers.scalar.finite_scalar import even_levels


@pytest.mark.parametrize(
    ("size", "dim", "levels"),
    [(512, 3, (8, 8, 8)), (1000, 4, (8, 5, 5, 5)), (1, 2, (1, 1)), (13, 2, (13, 1)), (16, 4, (2, 2, 2, 2))],
)
def test_levels_are_as_even_as_the_factors_allow(size, dim, levels):
    assert even_levels(size, dim) == levels


@pytest.mark.parametrize("levels", [(8, 6, 5), (3,), (2, 1, 5), (4, 4)])
def test_the_indices_are_a_bijection_between_numbers_and_grid_points(levels):
    size = torch.tensor(levels).prod().item()
    quantizer = FiniteScalarQuantizer(size, len(levels), levels=levels)
    points = quantizer.decode(torch.arange(size))
    assert len(points.unique(dim=0)) == size
    for axis, count in enumerate(levels):
        expected = (torch.arange(count) - count // 2) / max(1, count // 2)
        assert torch.equal(points[:, axis].unique(), expected)
    saturated = torch.stack(torch.meshgrid(*[torch.tensor([-20.0, 20.0])] * len(levels), indexing="ij"), -1)
    reached = quantizer.reconstruct(saturated.reshape(-1, len(levels)))
    assert torch.equal(reached.amin(0), points.amin(0))
    assert torch.equal(reached.amax(0), points.amax(0))


def test_zero_is_a_grid_point_and_every_level_can_be_reached():
    quantizer = FiniteScalarQuantizer(8 * 5, 2, levels=(8, 5))
    assert torch.equal(quantizer.reconstruct(torch.zeros(3, 2)), torch.zeros(3, 2))
    line = torch.linspace(-4, 4, 2001)
    assert len(quantizer.reconstruct(torch.stack([line, line], -1)).unique(dim=0)[:, 0].unique()) == 8


def test_the_gradient_is_that_of_the_bounded_value():
    quantizer = FiniteScalarQuantizer(5, 1, levels=(5,))
    z = torch.tensor([[0.3], [-1.0]], dtype=torch.float64, requires_grad=True)
    quantizer(z).quantized.sum().backward()
    expected = (1 - torch.tanh(z.detach()) ** 2) * 2 * (1 + 1e-3) / 2
    torch.testing.assert_close(z.grad, expected)


@pytest.mark.parametrize("levels", [(8, 8), (8, 8, 7), (-8, -8, 8), (512, 1, 1, 1)])
def test_levels_that_make_no_such_grid_are_a_typed_error(levels):
    with pytest.raises(
        InvalidInputError, match=r"do not make a grid of 512 points|`levels` must be a whole number"
    ):
        FiniteScalarQuantizer(512, 3, levels=levels)
