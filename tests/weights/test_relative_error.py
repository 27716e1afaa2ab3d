"""`RelativeError` is a promise for every tensor: small and one-dimensional ones, whatever else is there."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.weights import RelativeError, compress, decompress

TYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])
SHAPES = st.sampled_from([(3,), (64,), (700,), (4, 5), (40, 50), (300, 7), (12, 4, 3, 3), (1, 90), (90, 1)])


@st.composite
def tensors(draw):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    shape, scale = draw(SHAPES), 10.0 ** draw(st.integers(-3, 3))
    values = torch.randn(shape, generator=generator, dtype=torch.float64) * scale
    if draw(st.booleans()):  # heavy tails
        values *= torch.randn(shape, generator=generator, dtype=torch.float64).exp()
    if len(shape) > 1 and draw(st.booleans()):  # rows of unlike size
        values *= torch.logspace(-2, 0, shape[0], dtype=torch.float64).reshape(-1, *[1] * (len(shape) - 1))
    return values.to(draw(TYPES))


def relative(before: torch.Tensor, after: torch.Tensor) -> float:
    before = before.double()
    return float((after.double() - before).norm() / before.norm())


@settings(max_examples=150, deadline=None)
@given(st.lists(tensors(), min_size=1, max_size=4), st.floats(-8, -0.3))
def test_no_tensor_has_more(many, power):
    state = {str(place): tensor for place, tensor in enumerate(many)}
    after = decompress(compress(state, RelativeError(10.0**power)))
    for name, tensor in state.items():
        assert relative(tensor, after[name]) <= 10.0**power, (name, tensor.dtype, tuple(tensor.shape))


@pytest.mark.parametrize("error", [1e-3, 1e-5, 1e-30])
def test_a_bias_has_the_bits_that_it_takes(error):
    """It had six bits of mantissa, an error of 0.003, whatever was asked for."""
    torch.manual_seed(0)
    state = {"weight": torch.randn(64, 64), "bias": torch.randn(64)}
    after = decompress(compress(state, RelativeError(error)))
    assert relative(state["bias"], after["bias"]) <= error
