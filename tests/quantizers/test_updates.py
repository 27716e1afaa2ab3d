import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import EmaUpdate, ResidualQuantizer, VectorQuantizer


def test_matches_the_running_sums_of_the_paper():
    """N <- decay N + (1 - decay) n, m <- decay m + (1 - decay) s, c = m / N: kept apart, as in the paper."""
    torch.manual_seed(0)
    quantizer = VectorQuantizer(4, 2).requires_grad_(False)
    counts, sums = torch.zeros(4).double(), torch.zeros(4, 2).double()
    update = EmaUpdate(decay=0.8)
    for _ in range(6):
        z = torch.randn(200, 2)
        one_hot = torch.nn.functional.one_hot(quantizer.encode(z), 4).double()
        counts = 0.8 * counts + 0.2 * one_hot.sum(0)
        sums = 0.8 * sums + 0.2 * one_hot.T @ z.double()
        update(quantizer, quantizer.statistics(z))
        torch.testing.assert_close(quantizer.codebook.vectors.double(), sums / counts[:, None])
        torch.testing.assert_close(quantizer.codebook.counts, counts)


def test_the_first_step_is_a_step_of_k_means_and_unused_rows_stay():
    quantizer = VectorQuantizer(3, 1).requires_grad_(False)
    quantizer.codebook.load(torch.tensor([[0.0], [10.0], [500.0]]))
    EmaUpdate()(quantizer, quantizer.statistics(torch.tensor([[1.0], [3.0], [11.0]])))
    assert quantizer.codebook.vectors.flatten().tolist() == [2, 11, 500]


def test_statistics_of_parts_of_a_batch_add_up():
    quantizer = VectorQuantizer(5, 3)
    z = torch.randn(4, 10, 3)
    (whole,) = quantizer.statistics(z)
    (left,), (right,) = quantizer.statistics(z[:1]), quantizer.statistics(z[1:])
    assert torch.equal((left + right).counts, whole.counts)
    torch.testing.assert_close((left + right).sums, whole.sums)
    assert whole.counts.sum() == 40


def test_a_resumed_run_goes_on_as_it_would_have():
    torch.manual_seed(0)
    batches = torch.randn(4, 50, 2)
    one, two = (VectorQuantizer(4, 2).requires_grad_(False) for _ in range(2))
    update = EmaUpdate(decay=0.7)
    for z in batches[:2]:
        update(one, one.statistics(z))
    two.load_state_dict(one.state_dict())
    for quantizer in (one, two):
        for z in batches[2:]:
            update(quantizer, quantizer.statistics(z))
    assert torch.equal(one.codebook.vectors, two.codebook.vectors)


def test_each_stage_of_a_residual_quantizer_moves_by_its_own_residuals():
    quantizer = ResidualQuantizer(2, 1, stages=2).requires_grad_(False)
    quantizer.codebooks[0].load(torch.tensor([[0.0], [10.0]]))
    quantizer.codebooks[1].load(torch.tensor([[-1.0], [1.0]]))
    EmaUpdate()(quantizer, quantizer.statistics(torch.tensor([[2.0], [7.0]])))
    assert quantizer.codebooks[0].vectors.flatten().tolist() == [2, 7]
    assert quantizer.codebooks[1].vectors.flatten().tolist() == [-3, 2]


def test_errors_name_what_to_do():
    quantizer = VectorQuantizer(4, 2)
    with pytest.raises(InvalidInputError, match="requires_grad_"):
        EmaUpdate()(quantizer, quantizer.statistics(torch.randn(5, 2)))
    with pytest.raises(InvalidInputError, match="1 codebooks"):
        EmaUpdate()(quantizer, ())
    for decay in (-0.1, 1.0, float("nan")):
        with pytest.raises(InvalidInputError, match="decay"):
            EmaUpdate(decay)
