import pytest
import torch

from barycode.simplex.support import Ragged, Support


def example(rows: int = 9, columns: int = 7) -> torch.Tensor:
    """Non-negative numbers (rows, columns), most of them zero, at least one positive a row."""
    generator = torch.Generator().manual_seed(0)
    numbers = (torch.rand(rows, columns, generator=generator, dtype=torch.float64) - 0.7).clamp(min=0)
    numbers[:, 2] = 0.5
    return numbers


def ragged(dense: torch.Tensor) -> Ragged:
    rows, codes = dense.nonzero(as_tuple=True)
    starts = torch.searchsorted(rows, torch.arange(len(dense) + 1))
    return Ragged(dense[rows, codes], Support(codes, starts, dense.shape[1]))


def test_sums_of_rows_are_matrix_products():
    dense = example()
    values, support = ragged(dense).values, ragged(dense).support
    table, vectors = torch.randn(7, 3, dtype=torch.float64), torch.randn(9, 3, dtype=torch.float64)
    rows, codes = dense.nonzero(as_tuple=True)
    torch.testing.assert_close(support.combine(values, table), dense @ table)
    torch.testing.assert_close(support.spread(values, vectors), dense.T @ vectors)
    torch.testing.assert_close(support.products(vectors, table), (vectors @ table.T)[rows, codes])
    assert torch.equal(support.owners, rows)
    assert torch.equal(support.counts, (dense > 0).sum(1))


def test_parts_join_to_the_whole():
    dense = example()
    joined, whole = Ragged.joined([ragged(part) for part in dense.split(4)]), ragged(dense)
    assert torch.equal(joined.values, whole.values)
    assert torch.equal(joined.support.codes, whole.support.codes)
    assert torch.equal(joined.support.starts, whole.support.starts)


def test_padded_rows_hold_the_same_point():
    dense = example()
    values, codes = ragged(dense).padded()
    assert values.shape[1] == int((dense > 0).sum(1).max())
    assert torch.equal(torch.zeros_like(dense).scatter_add_(1, codes, values), dense)


def test_combinations_and_their_derivatives():
    point, codebook = ragged(example()), torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    values = point.values.requires_grad_()
    combine = Ragged(values, point.support).combine
    torch.testing.assert_close(combine(codebook)[0], combine(codebook)[1])
    assert torch.autograd.gradcheck(
        lambda weights, table: Ragged(weights, point.support).combine(table)[0], (values, codebook)
    )
    to_values, to_codebook = torch.autograd.grad(combine(codebook)[1].sum(), [values, codebook])
    assert to_values.eq(0).all()
    torch.testing.assert_close(to_codebook, example().sum(0)[:, None].expand(7, 3))


def test_centered_numbers_sum_to_zero_in_each_row():
    support = ragged(example()).support
    centered = support.centered(torch.randn(len(support.codes), dtype=torch.float64))
    sums = support.combine(centered, torch.ones(7, 1, dtype=torch.float64))
    torch.testing.assert_close(sums, torch.zeros_like(sums))


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int):
    point = ragged(example(rows))
    assert point.support.combine(point.values, torch.ones(7, 2, dtype=torch.float64)).shape == (rows, 2)
    assert point.padded()[0].shape[0] == rows
