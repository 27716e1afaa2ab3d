import pytest
import torch

from barycode.quantizers.ragged import Ragged
from barycode.simplex import project_simplex


def example(rows: int = 9, columns: int = 7) -> torch.Tensor:
    """Non-negative numbers (rows, columns), most of them zero, at least one positive a row."""
    generator = torch.Generator().manual_seed(0)
    numbers = (torch.rand(rows, columns, generator=generator, dtype=torch.float64) - 0.7).clamp(min=0)
    numbers[:, 2] = 0.5
    return numbers


def test_sums_of_rows_are_matrix_products():
    dense = example()
    ragged = Ragged.of(dense)
    table, vectors = torch.randn(7, 3, dtype=torch.float64), torch.randn(9, 3, dtype=torch.float64)
    torch.testing.assert_close(ragged.combine(table), dense @ table)
    torch.testing.assert_close(ragged.spread(vectors, 7), dense.T @ vectors)
    pairs = dense.nonzero()
    torch.testing.assert_close(ragged.products(vectors, table), (vectors @ table.T)[pairs[:, 0], pairs[:, 1]])
    assert torch.equal(ragged.owners(), pairs[:, 0])


def test_parts_join_to_the_whole():
    dense = example()
    joined = Ragged.joined([Ragged.of(part) for part in dense.split(4)])
    for ours, whole in ((joined, Ragged.of(dense)), (joined.part(slice(2, 5)), Ragged.of(dense[2:5]))):
        assert torch.equal(ours.values, whole.values)
        assert torch.equal(ours.codes, whole.codes)
        assert torch.equal(ours.starts, whole.starts)


def test_projection_is_that_of_the_rows():
    dense = 3 * example()
    expected = project_simplex(torch.where(dense > 0, dense, -torch.inf))
    table = torch.eye(7, dtype=torch.float64)
    torch.testing.assert_close(Ragged.of(dense).projected(7).combine(table), expected)


def test_centered_numbers_sum_to_zero_in_each_row():
    ragged = Ragged.of(example())
    centered = ragged.centered(torch.randn_like(ragged.values))
    sums = centered.combine(torch.ones(7, 1, dtype=torch.float64))
    torch.testing.assert_close(sums, torch.zeros_like(sums))


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int):
    dense = example(rows)
    assert Ragged.of(dense).combine(torch.ones(7, 2, dtype=torch.float64)).shape == (rows, 2)
