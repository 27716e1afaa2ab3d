"""Fine-tuned networks as differences to their base."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from barycode import weights
from barycode.errors import BarycodeError, CorruptFileError, InvalidInputError
from barycode.weights import BitsPerWeight, Lossless, RelativeError, compress, decompress
from barycode.weights.checkpoints.sources import StateDict
from barycode.weights.deltas import BASE, bit_difference, bit_sum, fingerprint
from barycode.weights.file_format.number_formats import FLOATS, element_bytes
from weights.networks import network, same


@pytest.fixture
def pair():
    """A base, and a network that is near it but for a tensor of its own and one of another shape."""
    generator = torch.Generator().manual_seed(0)
    base = network() | {
        "large": torch.randn(200, 300, generator=generator) * 0.03,
        "half": torch.randn(200, 150, generator=generator).bfloat16(),
        "head": torch.randn(10, 8, generator=generator),
    }
    tuned = {}
    for name, tensor in base.items():
        noise = torch.randn(tensor.shape, generator=generator) * 3e-4 * tensor.float().std(correction=0)
        tuned[name] = (tensor + noise).to(tensor.dtype) if tensor.is_floating_point() else tensor + 1
    tuned |= {"head": torch.randn(4, 8, generator=generator), "new": torch.randn(30, generator=generator)}
    return base, tuned | {"tied": tuned["large"]}


def test_every_bit_in_a_fraction_of_the_bytes(pair):
    base, tuned = pair
    data = compress(tuned, Lossless(), base=base, metadata={"format": "pt"})
    after = decompress(data, base=base)
    assert list(after) == list(tuned)
    assert all(same(after[name], tuned[name]) for name in tuned)
    assert after["tied"] is after["large"]
    assert len(data) < 0.6 * len(compress(tuned, Lossless()))


def test_lossy(pair):
    base, tuned = pair
    data = compress(tuned, RelativeError(0.05), base=base)
    after = decompress(data, base=base)
    moved = (tuned["large"] - base["large"]).norm()
    assert 0 < (after["large"] - tuned["large"]).norm() < 0.1 * moved
    assert len(data) < 0.8 * len(compress(tuned, RelativeError(0.05 * float(moved / tuned["large"].norm()))))


@pytest.mark.parametrize("target", [RelativeError(0.3), BitsPerWeight(1.5)], ids=str)
def test_a_new_layer_is_not_coded_as_coarsely_as_differences(pair, target):
    base, tuned = pair
    tuned = {**tuned, "head": torch.randn(40, 300)}
    after = decompress(compress(tuned, target, base=base), base=base)
    assert (after["head"] - tuned["head"]).norm() < 0.03 * tuned["head"].norm()
    assert (after["large"] - tuned["large"]).norm() > 0.1 * (tuned["large"] - base["large"]).norm()


@given(st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=20))
def test_any_bits(patterns):
    bits = torch.tensor(patterns, dtype=torch.int64).to(torch.int32).view(torch.float32)
    tensor, base = bits[: len(bits) // 2], bits[len(bits) // 2 : 2 * (len(bits) // 2)]
    assert same(bit_sum(base, bit_difference(tensor, base)), tensor)


def test_numbers_that_are_near_differ_by_little():
    base = torch.tensor([1.0, -1.0, 0.0])
    tensor = torch.nextafter(base, torch.tensor(torch.inf))
    assert bit_difference(tensor, base).tolist()[:2] == [1, 1]
    assert abs(bit_difference(tensor, base).tolist()[2]) <= 2


def test_another_base_and_none_are_refused(pair, tmp_path):
    base, tuned = pair
    data = compress(tuned, Lossless(), base=base)
    (tmp_path / "a.bary").write_bytes(data)
    for refused in (
        lambda: decompress(data),
        lambda: decompress(data, base=tuned),
        lambda: weights.load(tmp_path / "a.bary"),
        lambda: weights.open(tmp_path / "a.bary"),
    ):
        with pytest.raises(InvalidInputError, match="SHA-256"):
            refused()
    with pytest.raises(InvalidInputError, match="no difference"):
        decompress(compress(base), base=base)
    with pytest.raises(BarycodeError, match="in common"):
        compress(tuned, base={"other": torch.randn(3)})


def test_on_the_command_line(pair, tmp_path, run):
    base, tuned = pair
    tuned.pop("tied")
    save_file(base, tmp_path / "base.safetensors")
    save_file(tuned, tmp_path / "tuned.safetensors")
    assert run("compress", tmp_path / "base.safetensors", "--lossless").code == 0
    packed = ("compress", tmp_path / "tuned.safetensors", "--lossless", "--base", tmp_path / "base.bary")
    assert run(*packed).code == 0
    outcome = run("decompress", tmp_path / "tuned.bary", "-o", tmp_path / "again.safetensors")
    assert outcome.code == 1
    assert "--base" in outcome.err
    assert "the difference to the network with the SHA-256" in run("info", tmp_path / "tuned.bary").out
    again = ("decompress", tmp_path / "tuned.bary", "-o", tmp_path / "again.safetensors")
    assert run(*again, "--base", tmp_path / "base.safetensors").code == 0
    after = load_file(tmp_path / "again.safetensors")
    assert all(same(after[name], tuned[name]) for name in tuned)


@pytest.mark.parametrize("target", [RelativeError(0.02), Lossless()])
@pytest.mark.parametrize("dtype", [dtype for dtype in FLOATS if element_bytes(dtype) == 1])
def test_floats_without_arithmetic(dtype, target):
    """Their bits are subtracted, which is lossless."""
    generator = torch.Generator().manual_seed(0)
    base = {
        "a": torch.randn(60, 50, generator=generator).to(dtype),
        "b": torch.randn(60, 50, generator=generator),
    }
    tuned = {"a": (base["a"].float() * 1.01).to(dtype), "b": base["b"] * 1.01}
    data = compress(tuned, target, base=base)
    assert len(data) < 0.8 * len(compress(tuned, target))
    after = decompress(data, base=base)
    assert same(after["a"], tuned["a"])
    assert float((after["b"] - tuned["b"]).norm() / tuned["b"].norm()) < 0.001


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"bits": ["a"], "values": []}, "another type"),
        ({"bits": [], "values": ["f8"]}, "another type"),
        ({"bits": [], "values": ["half"]}, "another type"),
        ({"bits": ["complex"], "values": []}, "another type"),
        ({"bits": [], "values": ["count"]}, "another type"),
        ({"bits": [], "values": ["b"]}, "of one shape"),
        ({"bits": [], "values": ["nothing"]}, "of one shape"),
        ({"bits": [], "values": ["tied"]}, "of one shape"),
        ({"bits": [], "values": "a"}, "does not say well"),
        ({"bits": [], "values": ["a", "a"]}, "does not say well"),
    ],
)
def test_differences_that_cannot_be(told, message):
    """Files made for a base that everybody has: they were KeyError and NotImplementedError."""
    shared = torch.randn(3, 4)
    base = {
        "a": shared, "b": torch.randn(3), "f8": torch.ones(3).to(torch.float8_e5m2), "half": torch.ones(3),
        "complex": torch.ones(3, dtype=torch.complex128), "count": torch.arange(3), "tied": shared,
    }  # fmt: skip
    own = {**base, "b": torch.randn(4), "half": torch.ones(3).half()}
    metadata = {BASE: json.dumps({"sha256": fingerprint(StateDict(base)), **told})}
    data = compress(own, Lossless(), metadata=metadata)
    with pytest.raises(CorruptFileError, match=message):
        decompress(data, base=base)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_lossy_difference_brings_no_infinities(dtype):
    """Where the base is not finite, or the difference is beyond the type, the tensor is as it is."""
    largest = torch.finfo(dtype).max
    tuned = {"a": torch.randn(60, 50).to(dtype), "b": torch.randn(60, 50).to(dtype)}
    base = {name: tensor.clone() for name, tensor in tuned.items()}
    base["a"][3, 4], base["a"][5, 6] = torch.nan, torch.inf
    base["b"][1, 2], tuned["b"][1, 2] = -largest, largest
    after = decompress(compress(tuned, RelativeError(0.02), base=base), base=base)
    assert all(bool(after[name].isfinite().all()) for name in tuned)
    assert all((after[name] - tuned[name])[10:].double().norm() < 2 for name in tuned)
    assert after["b"][1, 2] == largest
