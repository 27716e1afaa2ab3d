import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_quantize_pytorch import ResidualFSQ

from barycode.errors import InvalidInputError
from barycode.quantizers import ResidualFiniteScalarQuantizer


def by_rounding(z, levels, stages):
    """An independent oracle: what is left, divided by the stage's scale, to the nearest level, in float64."""
    levels = torch.tensor(levels, dtype=torch.float64)
    bound = levels / (levels - 1)
    left = torch.tanh(z.double() / bound) * bound
    total = torch.zeros_like(left)
    for stage in range(stages):
        scale = levels**-stage
        nearest = ((left / scale + 1) / 2 * (levels - 1)).round().clamp(min=0).minimum(levels - 1)
        point = scale * (2 * nearest / (levels - 1) - 1)
        total, left = total + point, left - point
    return total


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 9), min_size=1, max_size=4), st.integers(1, 4), st.integers(0, 10**6))
def test_each_stage_rounds_what_is_left_and_any_first_ones_decode(levels, stages, seed):
    z = 2 * torch.randn(20, len(levels), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    size = int(torch.tensor(levels).prod())
    quantizer = ResidualFiniteScalarQuantizer(size, len(levels), stages=stages, levels=levels)
    for count in range(1, stages + 1):
        indices = quantizer.encode(z, stages=count)
        assert torch.equal(indices, quantizer.encode(z)[:, :count])
        decoded = quantizer.decode(indices).double()
        torch.testing.assert_close(decoded, by_rounding(z, levels, count), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("levels", "stages"), [([8, 5, 5], 1), ([8, 5, 5], 3), ([4, 4], 4), ([3, 7], 2)])
def test_the_same_points_and_gradient_as_the_peer(levels, stages):
    size = int(torch.tensor(levels).prod())
    theirs = ResidualFSQ(levels=levels, num_quantizers=stages).eval()
    ours = ResidualFiniteScalarQuantizer(size, len(levels), stages=stages, levels=levels)
    z = torch.randn(1, 500, len(levels), generator=torch.Generator().manual_seed(0)).requires_grad_()
    points, found = theirs(z)[0], ours(z)
    torch.testing.assert_close(found.quantized, points, atol=1e-6, rtol=0)
    assert found.indices.shape == (1, 500, stages)
    bound = torch.tensor(levels) / (torch.tensor(levels) - 1)
    (gradient,) = torch.autograd.grad(found.quantized.sum(), z)
    torch.testing.assert_close(gradient, 1 - torch.tanh(z.detach() / bound).square())


def test_extremes_stay_on_the_grid():
    quantizer = ResidualFiniteScalarQuantizer(20, 2, stages=3, levels=(5, 4))
    z = torch.tensor([[1e30, -1e30], [0.0, 0.0]])
    assert quantizer.encode(z).tolist() == [[16, 16, 16], [10, 8, 8]]  # the cell above 0, and its lowest
    assert float(quantizer.reconstruct(z)[1, 0]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": (5, 5)}, "do not make a grid"),
        ({"levels": 20}, "one whole number"),
        ({"stages": 0}, "stages"),
        ({"stages": 20}, "fewer stages"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        ResidualFiniteScalarQuantizer(20, 2, **arguments)


@pytest.mark.parametrize("shape", [(3, 4), (3, 0), ()])
def test_indices_of_other_stages_are_refused(shape):
    with pytest.raises(InvalidInputError, match="first stages"):
        ResidualFiniteScalarQuantizer(20, 2, stages=3).decode(torch.zeros(shape, dtype=torch.int64))
