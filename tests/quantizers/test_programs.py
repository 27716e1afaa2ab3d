import pytest
import torch

from barycode.quantizers import ExactProgram, RelaxedProgram, SplittingProgram, nearest


@pytest.mark.parametrize("program", [ExactProgram(), RelaxedProgram(), SplittingProgram()])
@pytest.mark.parametrize("known", [True, False])
def test_combinations_are_those_of_the_weights(program, known: bool):
    torch.manual_seed(0)
    z, codebook = torch.randn(50, 4), torch.randn(70, 4)
    found = program.combine(z, codebook, nearest(z, codebook) if known else None)
    expected = program(z, codebook).decode(codebook)
    torch.testing.assert_close(found.combined, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.held, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.weights().decode(codebook), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.total(), found.weights().dense().sum(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("program", [ExactProgram(), RelaxedProgram(), SplittingProgram()])
def test_held_weights_pass_no_gradient_to_the_vectors(program):
    torch.manual_seed(0)
    z, codebook = torch.randn(20, 4, requires_grad=True), torch.randn(70, 4, requires_grad=True)
    held = program.combine(z, codebook, None).held
    direction = torch.randn(20, 4)
    to_z, to_codebook = torch.autograd.grad(held, [z, codebook], direction, allow_unused=True)
    assert to_z is None or to_z.eq(0).all()
    weights = program(z, codebook).dense().detach()
    torch.testing.assert_close(to_codebook, weights.T @ direction, rtol=1e-4, atol=1e-5)
