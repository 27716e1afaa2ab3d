import os
import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.container import Section, pack, unpack
from barycode.errors import BarycodeError, CorruptFileError, InvalidInputError, UnsupportedFileError
from barycode.weights import (
    DEFAULT_RULES,
    BitsPerWeight,
    Cluster,
    Hardened,
    Keep,
    Lossless,
    MaxError,
    Quantize,
    Rule,
    Size,
    Step,
    Vectors,
    compress,
    decompress,
    explain,
)
from weights.networks import network, same

TARGETS = [Lossless(), Step(0.02), BitsPerWeight(5), Size(8000), MaxError(0.004)]
FLOATS = [
    getattr(torch, name)
    for name in ("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2")
    if hasattr(torch, name)
]
OTHERS = ["bool", "uint8", "int8", "int16", "int32", "int64", "complex64", "complex128"]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_names_order_forms_come_back(target):
    before = network()
    after = decompress(compress(before, target))
    assert list(after) == list(before)
    for name, tensor in before.items():
        assert (after[name].shape, after[name].dtype) == (tensor.shape, tensor.dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_lossless_floats(dtype):
    special = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan, 1e-7, -1e-7, 3.0])
    before = {"random": network()["conv2.weight"].to(dtype), "special": special.to(dtype)}
    after = decompress(compress(before, Lossless()))
    assert all(same(before[name], after[name]) for name in before)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_lossless_keeps_any_bits(data):
    dtype = data.draw(st.sampled_from([*FLOATS, *(getattr(torch, name) for name in OTHERS[1:])]))
    shape = data.draw(st.lists(st.integers(0, 5), max_size=4))
    width = torch.empty(0, dtype=dtype).element_size()
    count = int(torch.tensor(shape).prod()) * width
    raw = data.draw(st.binary(min_size=count, max_size=count))
    tensor = torch.tensor(list(raw), dtype=torch.uint8).view(dtype).reshape(shape)
    assert same(decompress(compress({"t": tensor}, Lossless()))["t"], tensor)


@pytest.mark.parametrize("target", [Lossless(), Step(0.02), MaxError(0.004)], ids=str)
def test_odd_tensors(target):
    before = {
        "scalar": torch.tensor(0.3),
        "empty": torch.zeros(0, 7),
        "empty matrix": torch.zeros(3, 0, dtype=torch.bfloat16),
        "flags": torch.tensor([True, False, True]),
        "positions": torch.arange(500)[None],
        "complex": torch.randn(4, 6, dtype=torch.complex64),
        "transposed": torch.randn(30, 20).T,
        "zeros": torch.zeros(64, 64),
        "one row": torch.randn(1, 900),
        "one column": torch.randn(900, 1),
        "infinite": torch.full((20, 20), torch.inf),
        "": torch.ones(2, 2, 2, 2, 2),
    }
    after = decompress(compress(before, target))
    assert list(after) == list(before)
    for name in ("flags", "positions", "complex", "infinite", "zeros", "empty", "empty matrix"):
        assert same(after[name], before[name]), name
    assert after["transposed"].shape == (20, 30)
    assert decompress(compress({})) == {}


def test_a_counter_costs_little():
    assert len(compress({"positions": torch.arange(100_000)}, Lossless())) < 200


def test_tied_tensors_are_stored_once_and_tied_again():
    weight = torch.randn(40, 50)
    once = len(compress({"a": weight}, Lossless()))
    before = {"a": weight, "b": weight, "view": weight[:20], "equal": weight.clone()}
    data = compress({"a": weight, "b": weight}, Lossless())
    assert len(data) < once + 16
    after = decompress(compress(before, Lossless()))
    assert after["a"] is after["b"]
    assert after["equal"] is not after["a"]
    assert all(same(after[name], before[name]) for name in before)


def test_sizes_are_kept():
    before = network()
    entries = sum(tensor.numel() for tensor in before.values())
    size = len(compress(before, BitsPerWeight(6)))
    assert 0.98 * 6 < 8 * size / entries <= 6
    assert 4900 < len(compress(before, Size(5000))) <= 5000
    with pytest.raises(InvalidInputError, match="do not fit 300 bytes"):
        compress(before, Size(300))


@pytest.mark.parametrize("dtype", FLOATS[:4], ids=str)
@pytest.mark.parametrize("error", [0.05, 1e-3, 1e-6, 1e-12])
def test_errors_are_bounded(dtype, error):
    before = network(dtype=dtype)
    report = explain(before, MaxError(error)).report
    after = decompress(compress(before, MaxError(error)))
    for name, tensor in before.items():
        assert (after[name].double() - tensor.double()).abs().max() <= error, name
    assert report.max_error <= error


def test_finer_steps_are_better_and_larger():
    before = network()
    reports = [explain(before, Step(step)).report for step in (0.05, 0.02, 0.005, 1e-4, 1e-8)]
    assert all(coarse.size < fine.size for coarse, fine in pairwise(reports))
    assert all(coarse.sqnr < fine.sqnr for coarse, fine in pairwise(reports[:-1]))


def test_the_trellis_beats_a_uniform_grid():
    weights = {"w": torch.randn(300, 300, generator=torch.Generator().manual_seed(1))}
    uniform = explain(weights, MaxError(0.25)).report
    trellis = explain(weights, Size(uniform.size)).report
    assert trellis.sqnr > uniform.sqnr + 0.6


def test_hardened_tensors_lose_nothing():
    generator = torch.Generator().manual_seed(2)
    before = network()
    centers = torch.randn(75, generator=generator) * 0.05
    hardened = {
        name: Hardened(torch.randint(0, 75, before[name].shape, generator=generator), centers)
        for name in ("conv1.weight", "conv2.weight", "linear.weight")
    }
    data = compress(before, Step(0.02), hardened=hardened)
    after = decompress(data)
    for name, tensor in hardened.items():
        assert same(after[name], tensor.tensor())
    assert len(unpack(data).all("BOOK")) == 1
    assert not same(after["embedding.weight"], before["embedding.weight"])


def test_hardened_tensors_cost_their_entropy():
    odds = torch.tensor([0.02, 0.08, 0.8, 0.07, 0.03])
    indices = torch.multinomial(odds, 60_000, True, generator=torch.Generator().manual_seed(3)).reshape(
        200, 300
    )
    centers = torch.tensor([-0.2, -0.1, 0.0, 0.1, 0.2])
    size = len(compress({"w": centers[indices]}, hardened={"w": Hardened(indices, centers)}))
    entropy = float(-(odds * odds.log2()).sum())
    assert 8 * size < 60_000 * entropy * 1.015 + 8 * 300


def test_hardened_tensors_must_fit():
    fitting = Hardened(torch.zeros(2, 2, dtype=torch.int64), torch.zeros(1))
    with pytest.raises(InvalidInputError, match="none of that name"):
        compress({"a": torch.zeros(2, 2)}, Step(1), hardened={"b": fitting})
    with pytest.raises(InvalidInputError, match="of shape"):
        compress({"a": torch.zeros(2, 3)}, Step(1), hardened={"a": fitting})


def test_rules_are_obeyed_in_order():
    before = network()
    rules = (
        Rule("conv1.*", Keep(), "first"),
        Rule("linear*", Cluster(4), "few"),
        Rule("*", Quantize(), "all"),
    )
    compressed = explain(before, Step(0.03), rules=rules)
    after = decompress(compressed.data)
    assert same(after["conv1.weight"], before["conv1.weight"])
    assert len(after["linear.weight"].unique()) == 4
    outcomes = {outcome.name: outcome for outcome in compressed.report.tensors}
    assert (outcomes["conv1.weight"].reason, outcomes["linear.weight"].reason) == ("first", "few")
    assert outcomes["conv2.weight"].noise > 0
    finer = explain(before, Step(0.03), rules=(Rule("conv2.*", Quantize(4), "finer"), *rules)).report
    assert finer.tensors[4].sqnr > outcomes["conv2.weight"].sqnr + 10


def test_the_report_adds_up():
    before = network()
    compressed = explain(before, Step(0.02))
    report, after = compressed.report, decompress(compressed.data)
    assert [outcome.name for outcome in report.tensors] == list(before)
    assert report.size == len(compressed.data)
    assert report.original_size == sum(tensor.nbytes for tensor in before.values())
    assert 0 <= 8 * report.size - sum(outcome.bits for outcome in report.tensors) < 8 * 400
    for outcome in report.tensors:
        error = (after[outcome.name].double() - before[outcome.name].double()).abs()
        assert outcome.max_error == error.max()
        assert outcome.noise == pytest.approx(error.square().sum().item())


@pytest.mark.parametrize(
    ("tensor", "sentence"),
    [
        (torch.zeros(3, 3).to_sparse(), "sparse, quantized or has no data"),
        (torch.zeros(3, 3, device="meta"), "sparse, quantized or has no data"),
        ([1.0, 2.0], "expected a tensor"),
    ],
)
def test_what_cannot_be_coded_is_refused(tensor, sentence):
    with pytest.raises(InvalidInputError, match=sentence):
        compress({"t": tensor})


@pytest.mark.parametrize(
    "make", [Step, BitsPerWeight, Size, MaxError, Quantize], ids=lambda make: make.__name__
)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_targets_are_checked(make, value):
    with pytest.raises(InvalidInputError):
        make(value)


def test_other_files_are_refused():
    with pytest.raises(UnsupportedFileError, match="not a network"):
        decompress(pack("imag", [Section("HEAD", b"")]))
    with pytest.raises(CorruptFileError):
        decompress(b"PK\x03\x04")
    sections = unpack(compress(network(), Step(0.02))).sections
    with pytest.raises(UnsupportedFileError, match="NEWS"):
        decompress(pack("wght", [*sections, Section("NEWS", b"")]))
    with pytest.raises(CorruptFileError, match="ends before"):
        decompress(pack("wght", sections[:1]))


DATA = compress(network(), Step(0.02), rules=(Rule("conv2*", Vectors(8, 2), "vectors"), *DEFAULT_RULES))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damage_is_one_typed_error(data):
    damaged = bytearray(DATA)
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(DATA) - 1))
        damaged[place] ^= data.draw(st.integers(1, 255))
    else:
        del damaged[data.draw(st.integers(0, len(DATA) - 1)) :]
    with pytest.raises(BarycodeError):
        decompress(bytes(damaged))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_hostile_sections_with_right_checksums(data):
    sections = list(unpack(DATA).sections)
    which = data.draw(st.integers(0, len(sections) - 1))
    payload = bytearray(sections[which].payload)
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, min(len(payload) - 1, 80)))] = data.draw(st.integers(0, 255))
    sections[which] = Section(sections[which].tag, bytes(payload))
    try:
        tensors = decompress(pack("wght", sections))
    except BarycodeError:
        return
    assert sum(tensor.nbytes for tensor in tensors.values()) < 2**28


def test_threads_change_nothing():
    code = (
        "import torch; from weights.networks import network; from barycode.weights import *\n"
        "import sys; torch.set_num_threads(int(sys.argv[1]))\n"
        "sys.stdout.buffer.write(compress(network(), Step(0.02)))"
    )
    here = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "2",
    }
    other = subprocess.run(
        [sys.executable, "-c", code, "2"], check=True, capture_output=True, env=environment
    ).stdout
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert compress(network(), Step(0.02)) == other
        assert decompress(other).keys() == network().keys()
    finally:
        torch.set_num_threads(threads)
