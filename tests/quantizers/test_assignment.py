import math

import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import DenseAssignment, OneHotAssignment, ProductAssignment, SparseAssignment
from barycode.quantizers.soft.soft_assignment import SoftAssignment

CODEBOOK = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, -1.0]])


def test_one_hot_is_a_row_of_the_codebook():
    point = OneHotAssignment(torch.tensor([[2, 0], [1, 1]]), 3)
    assert torch.equal(point.decode(CODEBOOK), CODEBOOK[point.indices])
    assert torch.equal(point.dense() @ CODEBOOK, point.decode(CODEBOOK))
    assert point.total().tolist() == [1, 2, 1]
    assert point.entropy().tolist() == [[0, 0], [0, 0]]
    assert torch.equal(point.vertex(), point.indices)


def test_sparse_is_its_dense_form():
    point = SparseAssignment(torch.tensor([[2, 0], [1, 1]]), torch.tensor([[0.25, 0.75], [1.0, 0.0]]), 3)
    dense = DenseAssignment(point.dense())
    assert dense.values.tolist() == [[0.75, 0, 0.25], [0, 1, 0]]
    assert torch.equal(point.decode(CODEBOOK), dense.decode(CODEBOOK))
    assert torch.equal(point.total(), dense.total())
    assert torch.equal(point.vertex(), dense.vertex())
    torch.testing.assert_close(point.entropy(), dense.entropy())


def test_weights_of_equal_indices_add_up():
    point = SparseAssignment(
        torch.tensor([[2, 1, 2, 0], [1, 1, 1, 1]]),
        torch.tensor([[0.3, 0.4, 0.3, 0], [0.5, 0.25, 0.25, 0]]),
        3,
    )
    assert point.vertex().tolist() == [2, 1]
    torch.testing.assert_close(point.entropy(), DenseAssignment(point.dense()).entropy())
    merged = point.merged()
    assert merged.indices.tolist() == [[0, 1, 2, 2], [1, 1, 1, 1]]
    torch.testing.assert_close(merged.values, torch.tensor([[0, 0.4, 0.6, 0], [1.0, 0, 0, 0]]))


def test_the_heaviest_vertex_is_the_lowest_of_equals():
    half = torch.tensor([[0.5, 0.5]])
    assert SparseAssignment(torch.tensor([[2, 1]]), half, 3).vertex().tolist() == [1]
    assert DenseAssignment(torch.tensor([[0.0, 0.5, 0.5]])).vertex().tolist() == [1]


def test_entropy_is_in_bits():
    uniform = DenseAssignment(torch.full((2, 8), 1 / 8))
    torch.testing.assert_close(uniform.entropy(), torch.full((2,), 3.0))


def test_entropy_has_finite_gradients_at_a_vertex():
    weights = torch.tensor([[1.0, 0.0]], requires_grad=True)
    DenseAssignment(weights).entropy().sum().backward()
    assert weights.grad is not None
    assert weights.grad.isfinite().all()


def test_parts_decode_to_the_sum_over_stacked_codebooks():
    parts = ProductAssignment(
        (OneHotAssignment(torch.tensor([0, 2]), 3), DenseAssignment(torch.tensor([[0.5, 0.5], [1.0, 0.0]])))
    )
    second = torch.tensor([[10.0, 0.0], [0.0, 10.0]])
    assert parts.codebook_size == 5
    stacked = torch.cat([CODEBOOK, second])
    assert parts.decode(stacked).tolist() == [[5, 6], [14, -1]]
    assert torch.equal(parts.dense() @ stacked, parts.decode(stacked))
    assert parts.total().tolist() == [1, 0, 1, 1.5, 0.5]
    assert parts.vertex().tolist() == [[0, 0], [2, 0]]
    assert parts.entropy().tolist() == [1, 0]


def test_soft_assignment_is_made_dense_on_request():
    z, sigma = torch.randn(4, 2), torch.tensor(0.7)
    weights = torch.softmax(-sigma * torch.cdist(z, CODEBOOK).square(), -1)
    point = SoftAssignment(z, CODEBOOK, sigma, weights.sum(0))
    torch.testing.assert_close(point.dense(), weights)
    other = torch.randn(3, 5)
    torch.testing.assert_close(point.decode(other), weights @ other)
    assert torch.equal(point.vertex(), weights.argmax(-1))
    torch.testing.assert_close(point.entropy(), -(weights * weights.log2()).sum(-1))
    assert math.isclose(point.total().sum().item(), 4, rel_tol=1e-6)


@pytest.mark.parametrize(
    "point",
    [
        OneHotAssignment(torch.tensor([0]), 4),
        SparseAssignment(torch.tensor([[0]]), torch.ones(1, 1), 4),
        DenseAssignment(torch.eye(4)),
        ProductAssignment((OneHotAssignment(torch.tensor([0]), 4),)),
    ],
    ids=lambda point: type(point).__name__,
)
def test_a_codebook_of_another_size_is_a_typed_error(point: OneHotAssignment):
    with pytest.raises(InvalidInputError, match=r"\(4, d\)"):
        point.decode(CODEBOOK)
