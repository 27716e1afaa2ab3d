import pytest
import torch
from torch.autograd import gradcheck

from barycode.errors import InvalidInputError
from barycode.rate import (
    FrequencyTables,
    cross_entropy,
    entropy,
    expected_code_length,
    hard_histogram,
    soft_cross_entropy,
    soft_histogram,
)


def assignments(*shape: int, sharpness: float = 1.0) -> torch.Tensor:
    noise = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.softmax(sharpness * noise, -1)


def test_values_by_hand() -> None:
    p = torch.tensor([0.5, 0.25, 0.25, 0.0])
    assert entropy(p).item() == pytest.approx(1.5)
    assert cross_entropy(torch.tensor([0.0, 1.0, 0.0, 0.0]), p).item() == pytest.approx(2.0)
    assert torch.isfinite(cross_entropy(torch.full((4,), 0.25), p))
    assert entropy(torch.eye(3)).tolist() == [0.0, 0.0, 0.0]


def test_histograms_of_any_leading_shape() -> None:
    weights = assignments(2, 5, 7)
    torch.testing.assert_close(soft_histogram(weights), weights.sum((0, 1)) / 10)
    indices = torch.tensor([[0, 3], [3, 1]])
    assert hard_histogram(indices, 5).tolist() == [0.25, 0.25, 0.0, 0.5, 0.0]
    assert hard_histogram(indices[:0], 5).tolist() == [0.0] * 5
    with pytest.raises(InvalidInputError, match="expected less than the codebook size 3"):
        hard_histogram(indices, 3)


def test_the_surrogate_bounds_the_soft_entropy_from_above() -> None:
    weights = assignments(200, 6, sharpness=3.0)
    q, p = soft_histogram(weights), hard_histogram(weights.argmax(-1), 6).double()
    assert soft_cross_entropy(q, p) > entropy(q)
    torch.testing.assert_close(soft_cross_entropy(q, q), entropy(q))


def test_soft_becomes_hard_as_the_temperature_falls() -> None:
    logits = assignments(500, 6).log()
    hard = hard_histogram(logits.argmax(-1), 6).double()
    gaps = [
        (entropy(soft_histogram(torch.softmax(s * logits, -1))) - entropy(hard)).abs() for s in (1, 10, 1e4)
    ]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3


def test_only_the_soft_side_has_a_gradient() -> None:
    weights = assignments(30, 4).requires_grad_()
    p = assignments(1, 4)[0].requires_grad_()
    soft_cross_entropy(soft_histogram(weights), p).backward()
    assert p.grad is None
    torch.testing.assert_close(weights.grad, (-p.detach().log2() / 30).expand(30, 4))


def test_the_expected_code_length_is_what_the_coder_pays() -> None:
    tables = FrequencyTables.from_counts([[1, 1, 2], [6, 1, 1]])
    lengths = torch.from_numpy(tables.code_lengths()).double()
    rows = torch.tensor([0, 1, 1])
    symbols = torch.tensor([2, 0, 1])
    paid = expected_code_length(torch.eye(3, dtype=torch.float64)[symbols], lengths, rows)
    torch.testing.assert_close(paid, lengths[rows, symbols])
    assert gradcheck(lambda w: expected_code_length(w, lengths, rows), assignments(3, 3).requires_grad_())
