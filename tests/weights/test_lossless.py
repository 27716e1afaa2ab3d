import numpy as np
import pytest
import torch

from barycode.errors import CorruptFileError
from barycode.rate import SymbolDecoder, SymbolEncoder
from barycode.weights.entropy_coding.channel_scales import Grid
from barycode.weights.entropy_coding.lossless import FloatCoder, IntegerCoder, code_plane
from barycode.weights.entropy_coding.symbol_stream import Reading, Writing
from barycode.weights.file_format.number_formats import FLOATS, to_bits


def there_and_back(code):
    """Bytes and result of `code(exchange, writing)`, written and read."""
    encoder = SymbolEncoder()
    code(Writing(encoder), True)
    data = encoder.finish()
    decoder = SymbolDecoder(data)
    result = code(Reading(decoder), False)
    decoder.finish()
    return data, result


def floats(tensor):
    bits, grid = to_bits(tensor), Grid.of(tuple(tensor.shape))
    form = FLOATS[tensor.dtype]
    data, back = there_and_back(lambda x, writing: FloatCoder(form).code(x, grid, bits if writing else None))
    assert np.array_equal(back, bits)
    return 8 * len(data) / tensor.numel()


def test_gaussian_weights_cost_their_entropy():
    weights = torch.randn(300, 400, generator=torch.Generator().manual_seed(0)) * 0.03
    assert floats(weights.bfloat16()) < 10.56  # measured entropy of bfloat16 Gaussians: 10.46 bits
    assert floats(weights) < 26.56


def test_scales_of_rows_do_not_cost_twice():
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(200, 300, generator=generator)
    rows = torch.logspace(-6, 3, 200, base=2)[:, None]
    assert floats((weights * rows).bfloat16()) < floats(weights.bfloat16()) + 0.15


def test_floats_that_were_halves_cost_no_more_than_halves():
    halves = torch.randn(200, 300, generator=torch.Generator().manual_seed(2)).half()
    assert floats(halves.float()) < floats(halves) + 0.05


def test_sparse_weights_are_cheap():
    weights = torch.randn(200, 300, generator=torch.Generator().manual_seed(3))
    weights[torch.rand(200, 300, generator=torch.Generator().manual_seed(4)) < 0.95] = 0
    assert floats(weights) < 0.05 * 28 + 0.3


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_integers_come_back(width):
    generator = np.random.default_rng(0)
    kind = np.dtype(f"u{width // 8}")
    for values in (
        generator.integers(0, 2**width, 500, dtype=kind),
        np.arange(500).astype(kind),
        np.full(500, 2**width - 1, kind),
        np.cumsum(generator.integers(0, 3, 500)).astype(kind),
    ):
        code = lambda x, writing: IntegerCoder().code(x, 500, width, values if writing else None)  # noqa: B023, E731
        data, back = there_and_back(code)
        assert np.array_equal(back, values)
        assert len(data) <= 500 * width // 8 + width // 8 + 4


@pytest.mark.parametrize(("odds", "bits"), [(0.0, 0.02), (0.05, 0.31), (0.5, 1.01)])
def test_a_plane_takes_the_way_that_suits_it(odds, bits):
    values = (np.random.default_rng(5).random(20_000) < odds).astype(np.int64)
    data, back = there_and_back(lambda x, writing: code_plane(x, 20_000, 1, values if writing else None))
    assert np.array_equal(back, values)
    assert 8 * len(data) / 20_000 < bits


def test_impossible_mantissas_are_damage():
    encoder = SymbolEncoder()
    Writing(encoder).uniform(1, 6, np.array([24]))
    with pytest.raises(CorruptFileError, match="24 zero bits"):
        FloatCoder(FLOATS[torch.float32]).code(Reading(SymbolDecoder(encoder.finish())), Grid(1, 1, 4), None)
