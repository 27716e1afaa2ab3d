import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder, range_coder, symbols

TABLES = FrequencyTables.from_counts(np.random.default_rng(0).exponential(1, (40, 11)) ** 4)
signed = st.integers(-30, 30) | st.integers(-(2**30), 2**30)


def encode(values: object, rows: object, tables: FrequencyTables = TABLES) -> bytes:
    coder = SymbolEncoder()
    coder.encode(values, tables, rows)
    return coder.finish()


@given(st.lists(st.lists(st.tuples(signed, st.integers(0, 39)), max_size=80), max_size=4))
def test_signed_values_round_trip_over_several_calls(calls: list[list[tuple[int, int]]]) -> None:
    coder = SymbolEncoder()
    for call in calls:
        coder.encode_signed(
            np.array([v for v, _ in call], np.int64), TABLES, np.array([r for _, r in call], int)
        )
    decoder = SymbolDecoder(coder.finish())
    for call in calls:
        found = decoder.decode_signed(TABLES, np.array([r for _, r in call], int))
        assert found.dtype == np.int32
        assert found.tolist() == [v for v, _ in call]
    decoder.finish()


@given(
    st.integers(0, 32).flatmap(
        lambda b: st.tuples(st.just(b), st.lists(st.integers(0, 2**b - 1), max_size=50))
    )
)
def test_uniform_integers_round_trip(case: tuple[int, list[int]]) -> None:
    bits, values = case
    coder = SymbolEncoder()
    coder.encode_uniform(np.array(values, np.int64), bits)
    data = coder.finish()
    assert 8 * len(data) <= bits * len(values) + 64
    assert SymbolDecoder(data).decode_uniform(len(values), bits).tolist() == values


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64, np.uint64])
def test_any_integer_type_gives_the_same_bytes(dtype: type) -> None:
    rng = np.random.default_rng(1)
    values, rows = rng.integers(0, 11, 500), rng.integers(0, 40, 500)
    assert encode(values.astype(dtype), rows.astype(dtype)) == encode(values, rows)
    found = SymbolDecoder(encode(values, rows)).decode(TABLES, rows.astype(dtype))
    assert np.array_equal(found, values)


@pytest.mark.parametrize("count", [5, 300, 5000])
def test_both_ways_of_asking_the_coder_give_the_same_bytes(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(count)
    values, rows = rng.integers(0, 11, count), rng.integers(0, 40, count)
    data = []
    for threshold in (0, 10**9):
        monkeypatch.setattr(range_coder, "SCATTERED", threshold)
        data.append(encode(values, rows))
        assert np.array_equal(SymbolDecoder(data[-1]).decode(TABLES, rows), values)
    assert data[0] == data[1]


def test_the_bytes_are_as_short_as_the_tables_promise() -> None:
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 40, 20_000)
    starts = np.cumsum(TABLES.counts, 1)
    values = (rng.integers(0, starts[0, -1], rows.size)[:, None] >= starts[rows]).sum(1)
    promised = TABLES.code_lengths()[rows, values].sum()
    assert promised - 8 <= 8 * len(encode(values, rows)) <= promised * 1.0005 + 64


def test_nothing_is_no_bytes() -> None:
    assert encode([], []) == b""
    assert SymbolDecoder(b"").decode(TABLES, []).size == 0


@pytest.mark.parametrize(
    ("values", "rows"),
    [([11], [0]), ([-1], [0]), ([0], [40]), ([0], [-1]), ([0.5], [0]), ([0, 1], [0]), ([[0]], [[0]])],
)
def test_symbols_that_do_not_fit_their_tables(values: list[int], rows: list[int]) -> None:
    with pytest.raises(InvalidInputError):
        encode(values, rows)


def test_signed_values_need_a_middle_and_have_a_limit() -> None:
    coder = SymbolEncoder()
    with pytest.raises(InvalidInputError, match="must be odd"):
        coder.encode_signed([0], FrequencyTables.from_counts([[1, 1]]), [0])
    with pytest.raises(InvalidInputError, match="run from"):
        coder.encode_signed([2**30 + 1], TABLES, [0])


@pytest.mark.parametrize(("values", "bits"), [([4], 2), ([-1], 2), ([0], 33), ([0], -1), ([1], 0)])
def test_uniform_integers_that_do_not_fit(values: list[int], bits: int) -> None:
    with pytest.raises(InvalidInputError):
        SymbolEncoder().encode_uniform(values, bits)


def test_left_over_data_is_noticed() -> None:
    data = encode(np.arange(11).repeat(30), np.zeros(330, int))
    decoder = SymbolDecoder(data)
    decoder.decode(TABLES, np.zeros(30, int))
    with pytest.raises(CorruptFileError, match="do not end as an encoder"):
        decoder.finish()


@given(st.lists(st.integers(0, 10), max_size=40), st.integers(0, 32), st.binary(min_size=1, max_size=9))
def test_symbols_have_one_stream(chosen: list[int], bits: int, other: bytes) -> None:
    """The bytes of an encoder and no others: neither longer, nor shorter, nor with another end."""
    coder = SymbolEncoder()
    rows = np.arange(len(chosen)) % 3
    coder.encode(np.array(chosen, np.int64), TABLES, rows)
    coder.encode_uniform([2**bits - 1, 0], bits)
    data = coder.finish()
    assert not data.endswith(b"\0")
    ends = [data[:-size] + other for size in range(1, min(len(data), 8))]
    for stream in (data, data + other, data[:-1], *ends, data + b"\0", data + b"\xff\xff\xff\xff"):
        decoder = SymbolDecoder(stream)
        try:
            decoder.decode(TABLES, rows)
            decoder.decode_uniform(2, bits)
            decoder.finish()
        except CorruptFileError:
            assert stream != data
            continue
        again = SymbolEncoder()
        decoder = SymbolDecoder(stream)
        again.encode(decoder.decode(TABLES, rows), TABLES, rows)
        again.encode_uniform(decoder.decode_uniform(2, bits), bits)
        assert again.finish() == stream


def test_nothing_shorter_decodes_to_the_same() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        values = rng.integers(0, 2**12, 1 + rng.integers(6))
        coder = SymbolEncoder()
        coder.encode_uniform(values, 12)
        data = coder.finish()
        shorter = int.from_bytes(data[:-1])
        for number in (shorter, shorter + 1):
            if number < 256 ** (len(data) - 1):
                found = SymbolDecoder(number.to_bytes(len(data) - 1)).decode_uniform(len(values), 12)
                assert found.tolist() != values.tolist()


def test_a_least_length_is_kept_and_checked() -> None:
    coder = SymbolEncoder()
    coder.encode_uniform([5, 0, 1], 3)
    data, plain = coder.finish(10), coder.finish()
    assert data == plain + bytes(10 - len(plain))
    for size in (0, 9):
        with pytest.raises(
            CorruptFileError, match=f"{size} bytes, and what they claim to hold takes at least 10"
        ):
            SymbolDecoder(data[:size], 10)
    for stream, sound in ((data, True), (data + b"\0", False), (data[:-1] + b"\1", False)):
        decoder = SymbolDecoder(stream, 10)
        assert decoder.decode_uniform(3, 3).tolist() == [5, 0, 1]
        if sound:
            decoder.finish()
        else:
            with pytest.raises(CorruptFileError, match="do not end"):
                decoder.finish()


@given(st.binary(max_size=200))
def test_any_bytes_give_symbols_of_the_tables_or_a_typed_error(data: bytes) -> None:
    rows = np.arange(200) % 40
    decoder = SymbolDecoder(data)
    try:
        found = decoder.decode(TABLES, rows)
        values = decoder.decode_signed(TABLES, rows)
        uniform = decoder.decode_uniform(9, 20)
    except CorruptFileError:
        return
    assert found.min() >= 0
    assert found.max() < 11
    assert np.abs(values).max() <= 2**30
    assert uniform.max() < 2**20


def test_an_escape_beyond_the_limit_is_corrupt() -> None:
    coder = SymbolEncoder()
    coder.encode([10], TABLES, [0])
    coder.encode([30], symbols._ESCAPES, [0])
    coder.encode_uniform([2**30 - 1], 30)
    with pytest.raises(CorruptFileError, match="beyond the limit"):
        SymbolDecoder(coder.finish()).decode_signed(TABLES, [0])
