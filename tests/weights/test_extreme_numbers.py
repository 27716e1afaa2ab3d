"""Numbers at the ends of what their types and the steps of a file hold: warnings are errors here."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import InvalidInputError
from barycode.weights import (
    DEFAULT_RULES,
    BitsPerWeight,
    Cluster,
    Lossless,
    MaxError,
    RelativeError,
    Rule,
    Size,
    Step,
    Vectors,
    compress,
    decompress,
)
from barycode.weights.allocation.measure import Measurement
from weights.networks import same

MAGNITUDES = st.one_of(
    st.sampled_from([1.0, 1e-320, 1e-300, 1e-44, 1e-38, 1e37, 1e300, 1e308]),
    st.floats(-320, 308).map(lambda power: 10.0**power),
)
TYPES = st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16])
TARGETS = st.one_of(
    MAGNITUDES.map(RelativeError),
    MAGNITUDES.map(Step),
    MAGNITUDES.map(MaxError),
    st.sampled_from([BitsPerWeight(1), BitsPerWeight(8), BitsPerWeight(1e308), Size(900), Lossless()]),
)
RULES = st.sampled_from([DEFAULT_RULES, (Rule("*", Vectors(8, 2), "v"),), (Rule("*", Cluster(8), "c"),)])


@st.composite
def tensors(draw):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    shape = draw(st.sampled_from([(24, 20), (300,), (5, 4, 3, 3)]))
    if draw(st.integers(0, 4)) == 0:
        bits = torch.randint(-(2**63), 2**63 - 1, shape, generator=generator)
        return bits.view(torch.float64).to(draw(TYPES))
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * draw(MAGNITUDES)).to(draw(TYPES))


@settings(max_examples=60, deadline=None)
@given(st.lists(tensors(), min_size=1, max_size=3), TARGETS, RULES)
def test_no_range_is_too_wide(many, target, rules):
    state = {str(place): tensor for place, tensor in enumerate(many)}
    try:
        data = compress(state, target, rules=rules)
    except InvalidInputError as error:
        if isinstance(target, Size | BitsPerWeight) and "do not fit" in str(error):
            return
        raise
    after = decompress(data)
    for name, before in state.items():
        finite = before.isfinite()
        assert bool((after[name].isfinite() == finite).all())
        error = (after[name].double() - before.double())[finite].abs()
        if isinstance(target, MaxError) and rules is DEFAULT_RULES:
            assert max(error.tolist(), default=0) <= target.error
        if isinstance(target, Lossless):
            assert same(after[name], before)


@pytest.mark.parametrize("power", [-320, -308, -44, -38, 0, 37, 38, 200, 300, 307])
def test_the_default_is_as_exact_at_any_magnitude(power):
    matrix = torch.randn(40, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    matrix = matrix.clamp(-3, 3) * 10.0**power
    after = decompress(compress({"m": matrix}))["m"]
    largest = matrix.abs().max()
    assert float(((after - matrix) / largest).square().mean().sqrt()) < 0.02


@pytest.mark.parametrize("power", [-300, -160, 0, 160, 300])
def test_the_scale_is_measured_at_any_magnitude(power):
    matrix = torch.randn(400, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    known, moved = Measurement.of(matrix), Measurement.of(matrix * 10.0**power)
    assert moved.scale == pytest.approx(known.scale * 10.0**power)
    assert moved.bits(moved.scale / 30) == pytest.approx(known.bits(known.scale / 30))


def test_complex_halves_give_no_warning():
    halves = torch.randn(40, 2).half().view(torch.uint8).view(torch.complex32)
    after = decompress(compress({"c": halves}))["c"]
    assert after.dtype == torch.complex32
    assert same(after.view(torch.int16), halves.view(torch.int16))
