import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.quantizers import nearest
from barycode.simplex import least_scores

pytest.importorskip("numba")


@pytest.fixture
def plainly(monkeypatch):
    """`nearest` without machine code."""

    def search(z, codebook):
        with monkeypatch.context() as context:
            context.setattr(least_scores, "INSTALLED", False)
            return nearest(z, codebook)

    return search


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 1000])
@pytest.mark.parametrize("count", [0, 1, 5000])
@pytest.mark.parametrize("threads", [1, 3])
def test_machine_code_finds_the_same(plainly, dtype, size, count, threads):
    generator = torch.Generator().manual_seed(size)
    codebook = torch.randn(size, 5, generator=generator).to(dtype)
    z = torch.randn(count, 5, generator=generator).to(dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert least_scores.applies(codebook, count)
        assert torch.equal(nearest(z, codebook), plainly(z, codebook))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6), st.booleans())
def test_the_lowest_of_equal_scores(rows, columns, seed, wide):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-2, 3, (rows, columns), generator=generator).to(
        torch.float64 if wide else torch.float32
    )
    half_norms = torch.randint(0, 2, (rows, 1), generator=generator).to(scores.dtype)
    expected = [min(range(rows), key=column.__getitem__) for column in (scores + half_norms).T.tolist()]
    assert least_scores.find(scores, half_norms).tolist() == expected


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_no_finite_score_is_code_zero(value):
    scores = torch.full((3, 4), value)
    scores[0, 1] = 0  # and one is
    assert least_scores.find(scores, torch.zeros(3, 1)).tolist() == [0, 0, 0, 0]


def test_few_scores_do_not_load_numba(monkeypatch):
    monkeypatch.delitem(least_scores.sys.modules, "numba")
    codebook = torch.zeros(64, 2)
    assert not least_scores.applies(codebook, least_scores.MANY // 64 - 1)
    assert least_scores.applies(codebook, least_scores.MANY // 64)
