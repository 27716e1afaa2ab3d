import copy
import pickle
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.rate import PRECISION, FrequencyTables

TOTAL = 2**PRECISION
histograms = arrays.arrays(
    np.float64,
    arrays.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12),
    elements=st.floats(0, 1e300) | st.sampled_from([0.0, 1e-300, 1.0]),
)


@given(histograms)
def test_any_histogram_becomes_valid_tables_that_survive_bytes(histogram: np.ndarray) -> None:
    tables = FrequencyTables.from_counts(histogram)
    assert tables.counts.dtype == np.int32
    assert tables.counts.min() >= 1
    assert (tables.counts.sum(1, dtype=np.int64) == TOTAL).all()
    assert np.array_equal(FrequencyTables.from_bytes(tables.to_bytes()).counts, tables.counts)


@given(arrays.arrays(np.int64, (3, 8), elements=st.integers(0, 10**6)), st.integers(-20, 20))
def test_tables_do_not_depend_on_type_or_scale(histogram: np.ndarray, exponent: int) -> None:
    expected = FrequencyTables.from_counts(histogram).counts
    assert np.array_equal(FrequencyTables.from_counts(histogram * 2.0**exponent).counts, expected)
    assert np.array_equal(FrequencyTables.from_counts(histogram.astype(np.float32)).counts, expected)


def test_probabilities_are_as_close_as_the_precision_allows() -> None:
    histogram = np.random.default_rng(0).exponential(1, (50, 33))
    exact = histogram / histogram.sum(1, keepdims=True)
    tables = FrequencyTables.from_counts(histogram)
    assert np.abs(tables.counts - exact * TOTAL).max() <= 1


def test_what_never_occurs_costs_almost_nothing() -> None:
    lengths = FrequencyTables.from_counts([[10, *[0] * 40]]).code_lengths()
    assert lengths[0, 0] < 4e-6
    assert (lengths[0, 1:] == PRECISION).all()


def test_exact_values() -> None:
    quarter = TOTAL // 4
    tables = FrequencyTables.from_counts([[1, 1, 2], [0, 0, 0], [0, 0, 5]])
    assert tables.counts.tolist() == [
        [quarter, quarter, 2 * quarter],
        [TOTAL // 3 + 1, TOTAL // 3, TOTAL // 3],
        [1, 1, TOTAL - 2],
    ]
    assert tables.code_lengths()[0].tolist() == [2.0, 2.0, 1.0]
    assert (len(tables), tables.alphabet) == (3, 3)


@pytest.mark.parametrize(
    "histogram", [[[1.0, -1.0]], [[1.0, np.inf]], [[np.nan, 1.0]], [1.0, 2.0], [[1.0]], np.ones((2, 3, 4))]
)
def test_bad_histograms(histogram: object) -> None:
    with pytest.raises(InvalidInputError, match="Histograms have"):
        FrequencyTables.from_counts(histogram)


@pytest.mark.parametrize(
    "counts",
    [
        np.full((1, 2), TOTAL // 2),
        np.full((1, 2), TOTAL // 4, np.int32),
        np.array([[0, TOTAL]], np.int32),
        np.array([[TOTAL]], np.int32),
    ],
)
def test_bad_counts(counts: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="Frequency tables"):
        FrequencyTables(counts)


def test_tables_are_immutable_and_can_be_copied() -> None:
    counts = np.array([[TOTAL - 3, 3]], np.int32)
    tables = FrequencyTables(counts)
    counts[0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        tables.counts[0, 0] = 5
    assert tables.counts.tolist() == [[TOTAL - 3, 3]]
    for twin in (copy.deepcopy(tables), pickle.loads(pickle.dumps(tables))):
        assert np.array_equal(twin.counts, tables.counts)


def _serialised(tables: int, symbols: int, entries: list[int]) -> bytes:
    planes = (np.array(entries, "<u4") - 1).astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes()
    return struct.pack("<II", tables, symbols) + zlib.compress(planes)


GOOD = [5, TOTAL - 5, 7, TOTAL - 7]


def test_the_written_form() -> None:
    tables = FrequencyTables.from_bytes(_serialised(2, 2, GOOD))
    assert tables.counts.ravel().tolist() == GOOD


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x00\x00\x00\x02",
        _serialised(2, 2, GOOD)[:-1],
        _serialised(2, 2, GOOD) + b"\0",
        _serialised(1, 2, GOOD),
        _serialised(1, 4, GOOD),
        _serialised(3, 2, GOOD),
        _serialised(2, 2, [6, TOTAL - 5, 7, TOTAL - 7]),
        _serialised(1, 2, [0, TOTAL]),
        _serialised(1, 3, [2**31, 2**31, TOTAL]),
        _serialised(1, 1, [TOTAL]),
        struct.pack("<II", 0, 2**32 - 1) + zlib.compress(b""),
        struct.pack("<II", 2**32 - 1, 2**32 - 1) + zlib.compress(bytes(100)),
        struct.pack("<II", 1, 2) + zlib.compress(bytes(10**7)),
        struct.pack("<II", 1, 2) + b"not deflated",
    ],
)
def test_corrupt_tables(data: bytes) -> None:
    with pytest.raises(CorruptFileError):
        FrequencyTables.from_bytes(data)
