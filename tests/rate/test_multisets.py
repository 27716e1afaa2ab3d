from itertools import combinations
from math import comb, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import CorruptFileError, InvalidInputError, LimitError
from barycode.rate import SymbolDecoder, SymbolEncoder
from barycode.rate.multisets import MAX_INDICES, MultisetTables, pack_multisets, unpack_multisets
from barycode.rate.tables import TOTAL


def draw_multisets(seed: int, count: int, size: int, support: int, levels: int) -> np.ndarray:
    """Codes of at most `support` of `size` code vectors, some of which are likelier than others."""
    generator = np.random.default_rng(seed)
    chosen = (size * generator.random((count, support)) ** 2).astype(np.int64)
    return np.sort(np.take_along_axis(chosen, generator.integers(0, support, (count, levels)), 1), 1)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 60),
    size=st.integers(1, 40),
    support=st.integers(1, 5),
    extra=st.integers(0, 3),
)
def test_a_record_gives_back_every_code(seed: int, count: int, size: int, support: int, extra: int):
    support = min(support, size)
    indices = draw_multisets(seed, count, size, support, support + extra)
    tables, decoded = unpack_multisets(pack_multisets(indices, size, support))
    assert np.array_equal(decoded, indices)
    assert (tables.support, tables.levels, len(tables.odds)) == (support, support + extra, size)


def test_a_set_costs_no_order():
    indices = np.sort([np.random.default_rng(i).choice(64, 3, replace=False) for i in range(4000)], 1)
    tables = MultisetTables.fit(indices, 64, 3)
    encoder = SymbolEncoder()
    tables.encode(encoder, indices)
    assert 8 * len(encoder.finish()) / 4000 == pytest.approx(log2(comb(64, 3)), abs=0.05)


def test_the_tables_are_the_probabilities_of_sets():
    """Chained over the places, they give each set the product of its odds over the sum of all products."""
    odds = np.array([1, 200, 3, 40, 17], np.int32)
    tables = MultisetTables(odds, np.full(4, 255, np.int32), 3, 3)
    sets = list(combinations(range(5), 3))
    products = np.array([np.prod(odds[list(s)].astype(float)) for s in sets])
    rows = {left: tables._next_tables(left, np.arange(5)).counts / TOTAL for left in (3, 2, 1)}
    chained = [rows[3][0, a] * rows[2][a + 1, b] * rows[1][b + 1, c] for a, b, c in sets]
    np.testing.assert_allclose(chained, products / products.sum(), rtol=1e-3)


def test_frequent_code_vectors_are_cheap():
    indices = np.minimum(draw_multisets(0, 3000, 64, 2, 3), 5)
    fitted = MultisetTables.fit(indices, 64, 2)
    uniform = MultisetTables(np.full(64, 255, np.int32), fitted.shapes, 2, 3)
    sizes = []
    for tables in (fitted, uniform):
        encoder = SymbolEncoder()
        tables.encode(encoder, indices)
        sizes.append(len(encoder.finish()))
    assert sizes[0] < 0.6 * sizes[1]


def test_bytes_of_a_small_record():
    """The format: n, K, s, L; odds of code vectors and of shapes; the stream."""
    record = pack_multisets([[0, 0, 2], [1, 1, 1]], 3, 2)
    assert record == bytes.fromhex("02000000 0300 02 03  ffffff ff00ff 96")
    assert np.array_equal(unpack_multisets(record)[1], [[0, 0, 2], [1, 1, 1]])


def test_damaged_records_give_the_typed_error_or_other_codes():
    record = pack_multisets(draw_multisets(1, 50, 20, 2, 3), 20, 2)
    for size in range(8 + 20 + 3):  # numbers and tables
        with pytest.raises(CorruptFileError):
            unpack_multisets(record[:size])
    generator = np.random.default_rng(0)
    for place in generator.integers(0, len(record), 300):
        damaged = bytearray(record)
        damaged[place] ^= 1 << int(generator.integers(8))
        try:
            tables, indices = unpack_multisets(bytes(damaged))
        except CorruptFileError:
            continue
        assert indices.size == 0 or 0 <= indices.min() <= indices.max() < len(tables.odds)


def test_a_record_cannot_claim_more_than_the_limit():
    record = bytearray(pack_multisets(np.zeros((3, 1), np.int64), 1, 1))
    record[:4] = (MAX_INDICES + 1).to_bytes(4, "little")
    with pytest.raises(CorruptFileError, match="damaged"):
        unpack_multisets(bytes(record))


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([[1, 0]], "ascend"),
        ([[0, 5]], "ascend"),
        ([[-1, 2]], "ascend"),
        ([[0, 1, 2]], "more than 2"),
        ([0, 1], "shape"),
        ([[0.5, 1.0]], "float64"),
        (np.zeros((1, 17), np.int64), "at most 16"),
    ],
)
def test_other_indices_are_a_typed_error(indices, message: str):
    with pytest.raises(InvalidInputError, match=message):
        MultisetTables.fit(indices, 5, 2)


def test_multisets_of_another_grid_are_a_typed_error():
    tables = MultisetTables.fit([[0, 1]], 5, 2)
    with pytest.raises(InvalidInputError, match="3 indices, but the tables are for 2"):
        tables.encode(SymbolEncoder(), [[0, 1, 1]])
    with pytest.raises(InvalidInputError, match="support of 1 to 2"):
        MultisetTables(tables.odds, tables.shapes, 3, 2)
    with pytest.raises(InvalidInputError, match="3 shapes come"):
        MultisetTables(tables.odds, np.ones(3, np.int32), 2, 2)


def test_symbols_that_no_encoder_writes_are_corrupt():
    tables = MultisetTables(np.ones(4, np.int32), np.full(2, 255, np.int32), 2, 2)
    coder = SymbolEncoder()
    coder.encode([1], tables._shape_table, [0])  # two different indices ...
    coder.encode([3], tables._next_tables(2, np.array([0])), [0])  # ... the first of them for the last vector
    with pytest.raises(CorruptFileError, match="cannot be"):
        tables.decode(SymbolDecoder(coder.finish()), 1)


def test_a_record_without_codes_builds_no_tables(monkeypatch):
    """2.2 kB that cost ten seconds."""
    record = pack_multisets(np.zeros((0, 16), np.int64), 2048, 16)
    monkeypatch.setattr(MultisetTables, "_next_tables", None)
    assert unpack_multisets(record)[1].shape == (0, 16)


def test_the_largest_tables_are_quick():
    indices = draw_multisets(3, 1500, 2048, 16, 16)
    assert np.array_equal(unpack_multisets(pack_multisets(indices, 2048, 16))[1], indices)


def test_a_small_record_cannot_stand_for_many_codes():
    """31 bytes that cost 2.4 GB: one code vector needs no symbol."""
    record = pack_multisets(np.zeros((5000, 1), np.int64), 1, 1)
    assert len(record) == 10 + 5
    claimed = (2**25).to_bytes(4, "little") + record[4:]
    with pytest.raises(CorruptFileError, match="at least 32768"):
        unpack_multisets(claimed)
    with pytest.raises(CorruptFileError, match="do not end"):
        unpack_multisets(record + b"\0")


def test_a_limit_is_asked_before_any_work():
    record = pack_multisets(draw_multisets(1, 50, 20, 2, 3), 20, 2)
    assert unpack_multisets(record, limit=8 * 150)[1].shape == (50, 3)
    with pytest.raises(LimitError, match="1,200 bytes, more than the limit of 1,199"):
        unpack_multisets(record, limit=8 * 150 - 1)


def test_codes_go_in_blocks(monkeypatch):
    """A record of several blocks of codes comes back, and only the order of its symbols is another."""
    indices = draw_multisets(1, 500, 20, 3, 4)
    whole = pack_multisets(indices, 20, 3)
    monkeypatch.setattr("barycode.rate.multisets.BLOCK", 64)
    record = pack_multisets(indices, 20, 3)
    assert record != whole
    assert abs(len(record) - len(whole)) <= 2
    assert np.array_equal(unpack_multisets(record)[1], indices)
