from itertools import combinations_with_replacement
from math import log2

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import InvalidInputError
from barycode.quantizers import SparseCode, nearest
from barycode.quantizers.convex.sparse_code import partitions


def every_code(codebook: torch.Tensor, support: int, levels: int) -> list[tuple[int, ...]]:
    """All multisets of `levels` code vectors, at most `support` different ones."""
    indices = combinations_with_replacement(range(len(codebook)), levels)
    return [code for code in indices if len(set(code)) <= support]


def errors(z: torch.Tensor, codebook: torch.Tensor, code: SparseCode) -> torch.Tensor:
    return (z - code.decode(code.encode(z, codebook), codebook)).square().sum(-1)


@pytest.mark.parametrize(("support", "levels"), [(1, 1), (2, 2), (2, 3), (2, 4), (3, 3), (3, 5)])
def test_the_number_of_codes_is_the_number_of_multisets(support: int, levels: int):
    codes = every_code(torch.zeros(6, 1), support, levels)
    assert SparseCode(support, levels).bits(6) == pytest.approx(log2(len(codes)))


@pytest.mark.parametrize(("support", "levels"), [(2, 2), (2, 3), (2, 4)])
def test_two_vectors_with_a_full_beam_are_the_best_of_all(support: int, levels: int):
    torch.manual_seed(0)
    codebook, z = torch.randn(9, 3), torch.randn(200, 3)
    code = SparseCode(support, levels, beam=9)
    points = torch.stack(
        [codebook[list(indices)].mean(0) for indices in every_code(codebook, support, levels)]
    )
    best = torch.cdist(z, points).amin(1).square()
    torch.testing.assert_close(errors(z, codebook, code), best, rtol=1e-4, atol=1e-5)


def test_a_short_beam_is_nearly_as_good():
    torch.manual_seed(0)
    codebook, z = torch.randn(7, 3), torch.randn(300, 3)
    points = torch.stack([codebook[list(indices)].mean(0) for indices in every_code(codebook, 3, 4)])
    best = torch.cdist(z, points).amin(1).square().mean()
    assert best <= errors(z, codebook, SparseCode(3, 4, beam=4)).mean() < 1.05 * best


def test_more_vectors_and_finer_grids_have_less_error():
    torch.manual_seed(0)
    codebook, z = torch.randn(32, 4), torch.randn(500, 4)
    settings_ = [(1, 1), (2, 2), (2, 4), (4, 4), (4, 8)]
    means = [errors(z, codebook, SparseCode(*setting)).mean() for setting in settings_]
    assert means == sorted(means, reverse=True)


def test_one_vector_is_vector_quantization():
    codebook, z = torch.randn(32, 4), torch.randn(3, 50, 4)
    code = SparseCode()
    assert torch.equal(code.encode(z, codebook), nearest(z, codebook))
    assert code.weights(nearest(z, codebook), 32, z.dtype).values.eq(1).all()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), support=st.integers(1, 4), extra=st.integers(0, 3))
def test_votes_ascend_on_the_grid_and_their_weights_decode_alike(seed: int, support: int, extra: int):
    generator = torch.Generator().manual_seed(seed)
    codebook, z = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (10, 40))
    code = SparseCode(support, support + extra)
    indices = code.encode(z, codebook)
    weights = code.weights(indices, 10, z.dtype)
    torch.testing.assert_close(weights.decode(codebook), code.decode(indices, codebook))
    assert (weights.merged().values > 0).sum(-1).max() <= support
    shares = weights.dense() * code.index_count
    torch.testing.assert_close(shares, shares.round())
    if support > 1:
        assert (indices.diff(dim=-1) >= 0).all()
        assert indices.shape == (40, support + extra)
    torch.testing.assert_close(code(z, codebook).dense(), weights.dense())


def test_partitions_are_all_of_them_once():
    assert list(partitions(4, 2)) == [[3, 1], [2, 2]]
    assert list(partitions(6, 3)) == [[4, 1, 1], [3, 2, 1], [2, 2, 2]]
    assert list(partitions(3, 3)) == [[1, 1, 1]]


def test_an_empty_batch_and_one_code_vector():
    code = SparseCode(2, 3)
    assert code.encode(torch.zeros(0, 4), torch.randn(8, 4)).shape == (0, 3)
    assert code.encode(torch.randn(5, 4), torch.randn(1, 4)).eq(0).all()
    assert code.bits(1) == 0


@pytest.mark.parametrize("bad", [(0, 1), (3, 2), (2, 2, 0)])
def test_impossible_codes_are_a_typed_error(bad: tuple[int, ...]):
    with pytest.raises(InvalidInputError, match=r"whole number|support 3 <= levels"):
        SparseCode(*bad)


def test_indices_of_another_code_are_a_typed_error():
    with pytest.raises(InvalidInputError, match="expected"):
        SparseCode(2, 3).decode(torch.zeros(5, 2, dtype=torch.int64), torch.zeros(4, 2))
