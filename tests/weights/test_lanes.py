import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import CorruptFileError
from barycode.weights.entropy_coding.lanes import ALPHABET, TOTAL, LaneTables, decode, encode, lanes_for


def drawn(seed: int, count: int, spread: float, rows: int = 3):
    generator = np.random.default_rng(seed)
    symbols = generator.normal(100, spread, count).clip(0, 255).astype(np.uint8)
    where = generator.integers(0, rows, count).astype(np.uint8)
    places = where.astype(np.int64) * ALPHABET + symbols
    counts = np.bincount(places, minlength=rows * ALPHABET).reshape(rows, ALPHABET)
    carried = generator.integers(0, 2**16, lanes_for(count)).astype(np.uint16)
    return symbols, where, places, counts, carried


@given(st.integers(0, 99), st.integers(1, 5000), st.sampled_from([0.0, 0.3, 5.0, 1e4]))
@settings(deadline=None, max_examples=60)
def test_symbols_and_what_is_carried_come_back(seed, count, spread):
    symbols, rows, places, counts, carried = drawn(seed, count, spread)
    tables = LaneTables.of(counts)
    assert (tables.frequencies.sum(1) == TOTAL).all()
    assert (tables.frequencies[counts > 0] > 0).all()
    states, words = encode(places, tables, carried)
    back, told = decode(states, words, rows, tables)
    assert (back == symbols).all()
    assert (told == carried).all()


def test_the_size_is_the_entropy():
    _, _, places, counts, carried = drawn(0, 2**18, 20.0)
    states, words = encode(places, LaneTables.of(counts), carried)
    shares = counts / counts.sum(1, keepdims=True)
    entropy = -(counts * np.log2(np.where(shares > 0, shares, 1))).sum() / 8
    assert entropy < states.nbytes + words.nbytes - carried.nbytes < 1.02 * entropy


@pytest.mark.parametrize("damage", ["states", "a word less", "a word more"])
def test_damage_is_noticed(damage):
    _, rows, places, counts, carried = drawn(1, 3000, 9.0)
    tables = LaneTables.of(counts)
    states, words = encode(places, tables, carried)
    if damage == "states":
        states = states ^ np.uint32(1 << 20)
    words = {"a word less": words[:-1], "a word more": np.append(words, words[:1])}.get(damage, words)
    with pytest.raises(CorruptFileError):
        decode(states, words, rows, tables)
