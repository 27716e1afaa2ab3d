import pytest
import torch
from torch.autograd import gradcheck

from barycode.quantizers import SoftToHardQuantizer
from barycode.quantizers import nearest as nearest_indices
from barycode.quantizers.soft.soft_assignment import soft_assign, soft_weights


def dense_reference(z, codebook, values, sigma):
    phi = torch.softmax(-sigma * (z[..., None, :] - codebook).square().sum(-1), -1)
    return phi @ values, phi.reshape(-1, codebook.shape[0]).sum(0)


@pytest.fixture
def problem() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = [(2, 5, 3), (6, 3), (6, 2)]
    tensors = [torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in shapes]
    return [tensor.requires_grad_() for tensor in [*tensors, torch.tensor(0.8, dtype=torch.float64)]]


def test_hand_written_gradient_passes_gradcheck(problem: list[torch.Tensor]):
    assert gradcheck(soft_assign, problem)


def test_values_and_gradients_are_those_of_the_dense_formula(problem: list[torch.Tensor]):
    for ours, reference in zip(soft_assign(*problem), dense_reference(*problem), strict=True):
        torch.testing.assert_close(ours, reference)
        g = torch.randn_like(ours)
        for a, b in zip(
            torch.autograd.grad(ours, problem, g, retain_graph=True, allow_unused=True),
            torch.autograd.grad(reference, problem, g, retain_graph=True, allow_unused=True),
            strict=True,
        ):
            torch.testing.assert_close(a, torch.zeros_like(a) if b is None else b)


def test_many_blocks_give_what_one_does(problem: list[torch.Tensor]):
    z = torch.randn(5000, 3, dtype=torch.float64)
    _, codebook, values, sigma = (tensor.detach() for tensor in problem)
    ours, mass = soft_assign(z, codebook, values, sigma)
    expected, expected_mass = dense_reference(z, codebook, values, sigma)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(mass, expected_mass)


@pytest.mark.parametrize("sigma", [0.0, 1e-30, 1e7, 1e30, 3e38])
def test_extreme_temperatures_stay_finite(sigma: float):
    z, codebook = torch.randn(50, 4), torch.randn(20, 4)
    phi = soft_weights(z, codebook, torch.tensor(sigma))
    torch.testing.assert_close(phi.sum(-1), torch.ones(50))


def test_soft_to_hard_limit_of_outputs_and_entropy():
    """Law 4: outputs converge to the nearest code vector, and the soft histogram to the histogram."""
    torch.manual_seed(0)
    quantizer = SoftToHardQuantizer(16, 3)
    z = torch.randn(500, 3)
    hard = quantizer.reconstruct(z)
    histogram = torch.bincount(quantizer.encode(z), minlength=16) / 500
    errors = []
    for sigma in (1.0, 10.0, 100.0, 1e4, 1e8):
        quantizer.anneal_to(sigma)
        result = quantizer(z)
        q = result.weights.total() / 500
        entropy_gap = (torch.special.entr(q).sum() - torch.special.entr(histogram).sum()).abs()
        errors.append(((result.quantized - hard).square().mean().item(), entropy_gap.item()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1][0] < 1e-4
    assert errors[-1][1] < 1e-4


def test_memory_is_not_that_of_the_dense_weights():
    z = torch.randn(20_000, 2, requires_grad=True)
    codebook = torch.randn(64, 2, requires_grad=True)
    saved: list[int] = []

    def record(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        mixed, _ = soft_assign(z, codebook, codebook, torch.tensor(1.0))
        mixed.sum().backward()
    assert max(saved) <= z.numel()
    assert torch.equal(nearest_indices(z, codebook), soft_weights(z, codebook, torch.tensor(1e9)).argmax(-1))
