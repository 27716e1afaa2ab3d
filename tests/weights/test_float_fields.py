"""Every bit of every float comes back, whatever it is, by fields and by planes."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from barycode.container import ByteReader, ByteWriter
from barycode.errors import BarycodeError, CorruptFileError
from barycode.rate import SymbolDecoder, SymbolEncoder
from barycode.weights import Cluster, Keep, Lossless, Rule, Step, compress, decompress, explain
from barycode.weights.entropy_coding.byte_planes import FAST, THOROUGH, read_plane, write_plane
from barycode.weights.entropy_coding.channel_scales import Grid
from barycode.weights.entropy_coding.float_fields import FloatScales, measured, pack_floats, unpack_floats
from barycode.weights.entropy_coding.float_planes import pack_planes, unpack_planes
from barycode.weights.entropy_coding.symbol_stream import Reading, Writing
from barycode.weights.file_format.number_formats import FLOATS, to_bits
from weights.networks import network, same

TYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
KINDS = ["weights", "any bits", "zeros", "sparse", "far apart", "rounded"]


def tensor_of(kind: str, dtype: torch.dtype, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(shape, generator=generator, dtype=torch.float64) * 0.05
    width = torch.empty(0, dtype=dtype).element_size()
    count = weights.numel() * width
    return {
        "weights": lambda: weights.to(dtype),
        "any bits": lambda: (
            torch.randint(0, 256, (count,), generator=generator, dtype=torch.uint8).view(dtype).reshape(shape)
        ),
        "zeros": lambda: torch.zeros(shape, dtype=dtype),
        "sparse": lambda: (weights * (weights.abs() > 0.08)).to(dtype),
        "far apart": lambda: (weights * 2.0 ** torch.randint(-40, 40, shape, generator=generator)).to(dtype),
        "rounded": lambda: weights.to(torch.float8_e5m2).to(dtype),
    }[kind]()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", KINDS)
@given(st.sampled_from([(1,), (7,), (40, 30), (5, 3, 3, 3), (2, 1100)]), st.integers(0, 99))
@settings(deadline=None, max_examples=5)
def test_every_bit_comes_back(kind, dtype, shape, seed):
    tensors = [tensor_of(kind, dtype, shape, seed), tensor_of("weights", dtype, (33, 20), seed)]
    form, grids = FLOATS[dtype], [Grid.of(tuple(tensor.shape)) for tensor in tensors]
    bits = [to_bits(tensor) for tensor in tensors]
    encoder = SymbolEncoder()
    scales = FloatScales(form).code(Writing(encoder), grids, bits)
    data = pack_floats(np.concatenate(bits), scales, form)
    again = FloatScales(form).code(Reading(SymbolDecoder(encoder.finish())), grids, None)
    back = unpack_floats(data, again, form)
    assert back.dtype == bits[0].dtype
    assert (back == np.concatenate(bits)).all()
    for own in bits:
        assert (unpack_planes(pack_planes(own, form), len(own), own.itemsize, form) == own).all()


def test_scales_of_some_of_a_line_are_about_those_of_all():
    rows = torch.tensor([0.01, 1.0]).repeat(700)[:, None]
    columns = torch.tensor([1.0, 8.0]).repeat(600)
    bits = to_bits(torch.randn(1400, 1200) * rows * columns)
    scales = measured(bits, Grid(1400, 1200, 1), FLOATS[torch.float32])
    assert abs(np.diff(scales.rows)).mean() == pytest.approx(4 * np.log2(100), abs=1)
    assert abs(np.diff(scales.columns)).mean() == pytest.approx(12, abs=1)


@pytest.mark.parametrize("level", ["dense", "quick"])
@pytest.mark.parametrize("dtype", [*TYPES, torch.complex64, torch.int8, torch.float8_e4m3fn])
def test_levels(level, dtype):
    state = {"large": (torch.randn(200, 300) * 20).to(dtype), "empty": torch.zeros(0, 3, dtype=dtype)}
    state |= network()
    report = explain(state, Lossless(level)).report
    after = decompress(compress(state, Lossless(level)))
    assert all(same(after[name], state[name]) for name in state)
    assert report.max_error == 0
    assert sum(tensor.bits for tensor in report.tensors) / 8 == pytest.approx(report.size, rel=0.02, abs=2000)


def test_quick_costs_little():
    state = {"w": torch.randn(512, 1024) * 0.05}
    dense, quick = (len(compress(state, Lossless(level))) for level in ("dense", "quick"))
    assert dense < quick < 1.015 * dense


def test_there_is_no_other_level():
    with pytest.raises(BarycodeError, match="dense, quick"):
        Lossless("best")


def test_repeats_are_found():
    values = torch.randn(5000)
    picked = {"w": values[torch.randint(0, 5000, (256, 256))]}
    twice = {"w": torch.randn(128, 256).repeat(2, 1)}
    rounded = {"w": torch.randn(256, 256).bfloat16().float()}
    bits = {}
    for name, state in (("picked", picked), ("twice", twice), ("rounded", rounded)):
        compressed = explain(state, Lossless())
        assert same(decompress(compressed.data)["w"], state["w"])
        bits[name] = compressed.report.bits_per_weight
    assert bits["picked"] < 16
    assert bits["twice"] < 14
    assert bits["rounded"] < 11


def test_codebooks_of_repeats_come_in_order_beside_others():
    values = torch.randn(3000)
    state = {
        "picked": values[torch.randint(0, 3000, (128, 256))],
        "clustered": torch.randn(60, 50),
        "again": values[torch.randint(0, 3000, (128, 256))],
    }
    rules = (Rule("clustered", Cluster(8), "asked"), Rule("*", Keep(), "asked"))
    after = decompress(compress(state, Step(0.1), rules=rules))
    assert same(after["picked"], state["picked"])
    assert same(after["again"], state["again"])
    assert len(after["clustered"].unique()) == 8


def test_a_sparse_tensor_costs_the_others_nothing():
    sparse = torch.randn(256, 256) * (torch.rand(256, 256) < 0.02)
    dense = torch.randn(256, 256)
    alone = len(compress({"a": sparse}, Lossless())) + len(compress({"b": dense}, Lossless()))
    assert len(compress({"a": sparse, "b": dense}, Lossless())) < 1.005 * alone


@given(st.binary(min_size=1, max_size=400), st.booleans(), st.sampled_from([FAST, THOROUGH]))
def test_planes(data, repeated, level):
    plane = np.frombuffer(data * (50 if repeated else 1), np.uint8)
    writer = ByteWriter()
    write_plane(writer, plane, level)
    reader = ByteReader(writer.finish())
    assert (read_plane(reader, len(plane)) == plane).all()
    reader.finish()


@given(st.sets(st.integers(0, 255), min_size=2, max_size=20), st.integers(1, 3000), st.integers(0, 99))
@example({0, 1, 2, 64, 3, 5, 38, 48, 177, 63}, 305, 0)  # Zstandard takes less than ranks, but for its length
def test_planes_of_few_values_take_the_bits_of_their_ranks(values, count, seed):
    random = np.random.default_rng(seed)
    plane = random.choice(sorted(values), count).astype(np.uint8)
    writer = ByteWriter()
    write_plane(writer, plane, FAST)
    data = writer.finish()
    assert (read_plane(ByteReader(data), count) == plane).all()
    number = len(np.unique(plane))
    bits = next(width for width in (1, 2, 4, 8) if number <= 2**width)
    ranks = 1 + number + -(-count * bits // 8)  # how many values, the values, whole bytes of ranks
    assert len(data) <= 1 + min(count, ranks)  # a byte says how, whichever way takes the least


def test_weights_that_were_rounded_once_cost_the_bits_that_are_left():
    """A low byte of one bit by chance: Zstandard's matches would cost more than it has."""
    rounded = (torch.randn(2**18).view(torch.int32) & ~127).view(torch.float32)
    for level, bits in (("quick", 20.2), ("dense", 20.0)):
        data = compress({"w": rounded.reshape(512, 512)}, Lossless(level))
        assert same(decompress(data)["w"], rounded.reshape(512, 512))
        assert 8 * len(data) / rounded.numel() < bits


@pytest.mark.parametrize(
    "data",
    [
        b"\3\0\1\0",
        b"\3\20" + bytes(range(17)) + b"\0" * 9,
        b"\3\1\1\0\0",
        b"\3\2\1\2\3\377\377",
        b"\3\1\1\2\0\200",
    ],
)
def test_ranks_that_no_encoder_writes_are_refused(data):
    """One value; seventeen; not in order; a rank too large; a rank behind the last."""
    with pytest.raises(CorruptFileError):
        read_plane(ByteReader(data), 8 if len(data) < 6 else 15)


@pytest.mark.parametrize("count", [999, 1001, 10**9])
def test_a_plane_of_another_size_is_refused_before_it_is_unpacked(count):
    writer = ByteWriter()
    write_plane(writer, np.arange(1000).astype(np.uint8) // 9)
    with pytest.raises(CorruptFileError, match="as many"):
        read_plane(ByteReader(writer.finish()), count)


@given(st.binary(max_size=60))
def test_any_bytes_are_planes_or_refused(data):
    for count in (1, 20):
        try:
            assert read_plane(ByteReader(data), count).shape == (count,)
        except CorruptFileError:
            continue


@given(st.integers(0, 10**6), st.integers(1, 255))
@settings(deadline=None, max_examples=80)
def test_changed_groups_are_refused_or_other_numbers(place, change):
    """What the checksum of the section would notice must not do harm either."""
    bits = to_bits(torch.randn(40, 50, generator=torch.Generator().manual_seed(0)))
    form = FLOATS[torch.float32]
    scales = FloatScales(form).code(Writing(SymbolEncoder()), [Grid(40, 50, 1)], [bits])
    data = bytearray(pack_floats(bits, scales, form))
    data[place % len(data)] ^= change
    with contextlib.suppress(CorruptFileError):
        assert len(unpack_floats(bytes(data), scales, form)) == 2000
