import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from barycode.weights.entropy_coding.adaptive_tables import INCREMENT, TOTAL, AdaptiveTables, apportion, flat

COUNTS = st.lists(st.lists(st.integers(0, 2**30), min_size=5, max_size=5), min_size=1, max_size=4)


@given(COUNTS)
def test_shares_are_exact(counts):
    shares = apportion(np.array(counts, np.int64))
    assert (shares.sum(1) == TOTAL).all()
    assert shares.min() >= 1
    for row, share in zip(counts, shares, strict=True):
        for count, part in zip(row, share, strict=True):
            ideal = TOTAL * count / max(sum(row), 1) if any(row) else TOTAL / 5
            assert abs(part - ideal) <= 12


def test_what_is_missing_goes_to_the_first_largest():
    assert apportion(np.array([[1, 1, 1]])).tolist() == [[TOTAL // 3 + 1, TOTAL // 3, TOTAL // 3]]


def test_tables_learn_what_they_are_shown():
    tables = AdaptiveTables(flat(2, 4))
    before = tables.tables.counts.copy()
    other = tables.copy()
    tables.learn(np.array([3, 3, 1]), np.array([1, 1, 1]))
    assert np.array_equal(tables.tables.counts[0], before[0])
    assert np.array_equal(
        tables.tables.counts, apportion(np.array([[1] * 4, [1, 1 + INCREMENT, 1, 1 + 2 * INCREMENT]]))
    )
    assert np.array_equal(other.tables.counts, before)


def test_signed_values_beyond_the_ends_count_as_the_ends():
    one, other = AdaptiveTables(flat(1, 5)), AdaptiveTables(flat(1, 5))
    one.learn_signed(np.array([-9, 2, 7]), np.zeros(3, int))
    other.learn(np.array([0, 4, 4]), np.zeros(3, int))
    assert np.array_equal(one.tables.counts, other.tables.counts)
