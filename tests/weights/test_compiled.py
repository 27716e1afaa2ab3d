"""The loops in machine code beside those in NumPy: the same bytes, codes and symbols."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import CorruptFileError
from barycode.weights import Lossless, MaxError, Step, compiled, compress, decompress, explain
from barycode.weights.entropy_coding.code_lanes import CLASSES, FAMILIES, TIME
from barycode.weights.entropy_coding.lanes import LaneTables, decode, encode, lanes_for
from barycode.weights.entropy_coding.quantized import LIMIT, RATE_WEIGHT, ZERO_CLASS, CodeCoder
from barycode.weights.entropy_coding.symbol_costs import CostRecorder
from barycode.weights.entropy_coding.symbol_stream import reading, writing
from barycode.weights.quantization.trellis import GRIDS, Prices, best_path

seeds = st.integers(0, 2**32)


@contextmanager
def machine_code(used: bool):
    """All loops in it, or none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "INSTALLED", used)
        patch.setattr(compiled, "MANY", 0)
        yield


def both(method):
    """What a method gives without machine code and with it."""
    results = []
    for used in (False, True):
        with machine_code(used):
            results.append(method())
    return results


def drawn(seed: int, count: int, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers with heavy tails, and the classes of magnitude that they would have, more or less."""
    rng = np.random.default_rng(seed)
    octaves = rng.normal(0, 1, count)
    values = rng.standard_t(2, count) * size * 2**octaves
    classes = ZERO_CLASS + 4 * (np.log2(size) + octaves) + rng.normal(0, 2, count)
    return values, classes.clip(0, CLASSES - 1).astype(np.uint8)


@settings(max_examples=30, deadline=None)
@given(
    seeds,
    st.integers(1, 3 * TIME) | st.integers(1, 5000),
    st.sampled_from([0.01, 0.3, 2, 20, 500, 1e7]),
    st.integers(0, 20),
    st.booleans(),
)
def test_codes_are_the_same_bytes_and_cost_the_same(seed, count, size, shift, on_trellis):
    values, classes = drawn(seed, count, size)
    source = values.clip(-(2**22), 2**22)
    source = source.astype(np.float32) if on_trellis else np.rint(source).astype(np.int32)

    def written():
        exchange = writing(count)
        recorder = CostRecorder(exchange)
        codes = CodeCoder().code(recorder, classes, source, on_trellis, shift)
        return codes, exchange.finish(), recorder.take()

    (codes, data, bits), (again, same, costs) = both(written)
    assert data == same
    assert np.array_equal(codes, again)
    np.testing.assert_allclose(bits, costs, rtol=1e-6)

    def read():
        exchange = reading(data, count)
        recorder = CostRecorder(exchange)
        found = CodeCoder().code(recorder, classes, None, on_trellis, shift)
        exchange.finish()
        return found, recorder.take()

    for found, told in both(read):
        assert np.array_equal(found, codes)
        np.testing.assert_allclose(told, bits, rtol=1e-6)
    assert abs(8 * len(data) - bits.sum()) < 100


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 400), st.integers(0, 24), st.booleans(), st.binary(max_size=600))
def test_codes_of_any_data_are_the_same_or_refused_by_both(seed, count, shift, on_trellis, data):
    _, classes = drawn(seed, count, 5)

    def read():
        try:
            return CodeCoder().code(reading(data, count), classes, None, on_trellis, shift).tolist()
        except CorruptFileError:
            return None

    one, other = both(read)
    assert one == other


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 40), st.integers(1, 50), st.sampled_from([0.02, 1, 9, 1e5]), st.integers(0, 6))
def test_paths_are_the_same(seed, time, lanes, size, shift):
    rng = np.random.default_rng(seed)
    values, classes = drawn(seed, time * lanes, size)
    bits = rng.exponential(3, (GRIDS * CLASSES, LIMIT + 1)).cumsum(1).astype(np.float32)
    values[rng.random(len(values)) < 0.1] = 0
    targets = values.clip(-(2**22), 2**22).astype(np.float32).reshape(time, lanes)
    prices = Prices(bits, shift, RATE_WEIGHT)
    one, other = both(lambda: best_path(targets, classes.reshape(time, lanes), prices))
    assert one.dtype == other.dtype
    assert np.array_equal(one, other)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 20000), st.integers(1, 4), st.sampled_from([1, 5, 30]))
def test_symbols_in_lanes_are_the_same_words(seed, count, rows, skew):
    rng = np.random.default_rng(seed)
    own = rng.integers(0, rows, count).astype(np.uint8)
    weights = rng.exponential(1, (rows, 256)) ** skew
    symbols = (rng.random((count, 1)) > (weights / weights.sum(1, keepdims=True)).cumsum(1)[own]).sum(1)
    places = own.astype(np.int64) * 256 + symbols.clip(0, 255)
    tables = LaneTables.of(np.bincount(places, minlength=rows * 256).reshape(rows, 256))
    carried = rng.integers(0, 2**16, lanes_for(count)).astype(np.uint16)
    (states, words), (states_too, words_too) = both(lambda: encode(places, tables, carried))
    assert np.array_equal(states, states_too)
    assert np.array_equal(words, words_too)
    assert words.dtype == words_too.dtype
    for found, back in both(lambda: decode(states, words, own, tables)):
        assert np.array_equal(found, places & 255)
        assert np.array_equal(back, carried)
    for damaged in (words[:-1], np.append(words, words[:1]), words ^ np.uint16(1)):
        if len(damaged) == len(words) == 0:
            continue

        def refused(damaged=damaged):
            try:
                return decode(states, damaged, own, tables)[0].tolist()
            except CorruptFileError:
                return None

        one, other = both(refused)
        assert one == other


@pytest.mark.parametrize("target", [Step(0.02), MaxError(0.01), Lossless(), Lossless("quick")], ids=str)
def test_whole_files_are_the_same(target):
    generator = torch.Generator().manual_seed(0)
    state = {
        "wide": torch.randn(60, 90, generator=generator).exp_(),
        "kernels": torch.randn(8, 4, 3, 3, generator=generator),
        "half": torch.randn(70, 30, generator=generator).bfloat16(),
        "vector": torch.randn(40, generator=generator),
        "counts": torch.arange(3000),
    }
    state["wide"][0, :5] = torch.tensor([1e9, -1e9, torch.inf, torch.nan, 0])
    one, other = both(lambda: compress(state, target))
    assert one == other
    for back in both(lambda: decompress(one)):
        assert list(back) == list(state)
        assert isinstance(target, Step | MaxError) or all(
            torch.equal(back[name].nan_to_num(7), tensor.nan_to_num(7)) for name, tensor in state.items()
        )


def test_bits_are_those_of_each_tensor_of_a_part():
    """A sparse and a dense tensor of one sequence: the codes of the one are nearly free."""
    generator = torch.Generator().manual_seed(0)
    dense = torch.randn(128, 128, generator=generator)
    sparse = torch.zeros(128, 128)
    sparse[:, 0] = dense[:, 0]
    for found in both(lambda: explain({"sparse": sparse, "dense": dense}, Step(0.5)).report.tensors):
        by_name = {tensor.name: tensor.bits for tensor in found}
        assert by_name["sparse"] < 0.15 * by_name["dense"]


def test_few_entries_are_left_to_numpy(monkeypatch):
    assert compiled.applies(compiled.MANY)
    assert not compiled.applies(compiled.MANY - 1)
    monkeypatch.setattr(compiled, "INSTALLED", False)
    assert not compiled.applies(compiled.MANY)


def test_rows_of_classes_are_those_of_the_tables():
    assert FAMILIES * CLASSES <= 2**8
