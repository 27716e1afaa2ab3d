import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import BarycodeError
from barycode.weights import Lossless, decompress, explain
from barycode.weights.entropy_coding.channel_scales import Grid
from barycode.weights.entropy_coding.integer_fields import (
    folded,
    integer_scales,
    pack_integers,
    unfolded,
    unpack_integers,
)
from weights.networks import same


@given(st.integers(0, 99), st.sampled_from([1, 2, 4, 8]), st.booleans(), st.integers(1, 900))
@settings(deadline=None, max_examples=40)
def test_every_integer_comes_back(seed, width, signed, count):
    generator = np.random.default_rng(seed)
    bits = generator.integers(0, 256, count * width, dtype=np.uint8).view(f"u{width}")
    bits >>= generator.integers(0, 8 * width, count).astype(bits.dtype)
    numbers = folded(bits, signed)
    scales = integer_scales(numbers, Grid.of((count,)))
    back = unpack_integers(pack_integers(numbers, scales), scales, width)
    assert back.dtype == bits.dtype
    assert (unfolded(back, signed) == bits).all()


def test_folding_is_by_size():
    values = np.array([0, -1, 1, -2, 127, -128], np.int8)
    assert folded(values.view(np.uint8), True).tolist() == [0, 1, 2, 3, 254, 255]


@pytest.mark.parametrize(
    ("dtype", "most"),
    [(torch.int8, 0.995), (torch.uint8, 1), (torch.int16, 0.97), (torch.int32, 0.97), (torch.int64, 0.97)],
)
def test_quantized_weights_are_smaller_than_by_zstandard(dtype, most):
    generator = torch.Generator().manual_seed(0)
    scales = torch.randn(192, 1, generator=generator).mul(0.7).exp()
    codes = (torch.randn(192, 256, generator=generator) * scales * 18).round().clamp(-127, 127)
    codes = (codes + (128 if dtype == torch.uint8 else 0)).to(dtype)
    compressed = explain({"codes": codes}, Lossless())
    assert same(decompress(compressed.data)["codes"], codes)
    peer = zstandard.ZstdCompressor(level=19).compress(codes.numpy().tobytes())
    assert len(compressed.data) < most * len(peer)


@given(st.integers(0, 10**6), st.integers(1, 255))
@settings(deadline=None, max_examples=60)
def test_changed_bytes_are_refused_or_other_numbers(place, change):
    numbers = np.random.default_rng(0).integers(0, 3000, 1500).astype(np.uint16)
    scales = integer_scales(numbers, Grid(30, 50, 1))
    data = bytearray(pack_integers(numbers, scales))
    data[place % len(data)] ^= change
    try:
        assert len(unpack_integers(bytes(data), scales, 2)) == 1500
    except BarycodeError:
        return
