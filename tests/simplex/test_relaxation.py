import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.simplex import project_simplex
from barycode.simplex.nearest import nearest
from barycode.simplex.relaxation import Relaxation, relax


def relaxed_combination(
    z: torch.Tensor, codebook: torch.Tensor, strength: float
) -> tuple[torch.Tensor, torch.Tensor]:
    return relax(z, codebook, torch.tensor(strength, dtype=torch.float64)).combine(codebook)


def by_the_papers_system(z: torch.Tensor, codebook: torch.Tensor, strength: float) -> torch.Tensor:
    """The K x K system, a projection, and p C: by autograd, in float64."""
    size = len(codebook)
    vertex = torch.nn.functional.one_hot(nearest(z, codebook), size).double()
    system = codebook @ codebook.T + strength * torch.eye(size, dtype=torch.float64)
    return project_simplex(torch.linalg.solve(system, codebook @ z.T + strength * vertex.T).T) @ codebook


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(0, 40),
    size=st.sampled_from([1, 2, 7, 63, 64, 67, 200]),
    strength=st.sampled_from([1e-2, 0.1, 1.0, 10.0]),
)
def test_value_and_gradients_are_those_of_the_papers_system(seed: int, n: int, size: int, strength: float):
    generator = torch.Generator().manual_seed(seed)
    z, codebook, direction = (
        torch.randn(rows, 5, generator=generator, dtype=torch.float64) for rows in (n, size, n)
    )
    z.requires_grad_()
    codebook.requires_grad_()
    expected = by_the_papers_system(z, codebook, strength)
    combined, held = relaxed_combination(z, codebook, strength)
    torch.testing.assert_close(combined, expected)
    assert torch.equal(combined, held)
    ours = torch.autograd.grad(combined, [z, codebook], direction)
    theirs = torch.autograd.grad(expected, [z, codebook], direction)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-7)


def test_the_held_output_moves_only_the_codebook():
    z = torch.randn(30, 4, requires_grad=True)
    codebook = torch.randn(100, 4, requires_grad=True)
    direction = torch.randn(30, 4)
    gradients = torch.autograd.grad(relaxed_combination(z, codebook, 0.1)[1], [z, codebook], direction)
    values, codes = relax(z, codebook, torch.tensor(0.1)).padded()
    weights = torch.zeros(30, 100).scatter_add_(1, codes, values.detach())
    assert gradients[0].eq(0).all()
    torch.testing.assert_close(gradients[1], weights.T @ direction, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_single_precision_at_any_scale_and_over_many_blocks(scale: float):
    torch.manual_seed(0)
    z, codebook = scale * torch.randn(1200, 8), scale * torch.randn(512, 8)
    combined, _ = relaxed_combination(z, codebook, 0.1 * scale**2)
    expected = by_the_papers_system(z.double(), codebook.double(), 0.1 * scale**2)
    torch.testing.assert_close(combined.double() / scale, expected / scale, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [1, 5, 64, 65, 300])
@pytest.mark.parametrize("spread", [1e-3, 0.1, 1.0, 1e3, 1e9])
def test_weights_are_projections_with_few_and_with_many_code_vectors(
    dtype: torch.dtype, size: int, spread: float
):
    generator = torch.Generator().manual_seed(size)
    scores = spread * torch.randn(50, size, generator=generator, dtype=dtype)
    scores[0], scores[1] = 0, -spread  # ties throughout
    vertex = torch.randint(size, (50,), generator=generator)
    values, codes = (
        Relaxation(torch.eye(size, dtype=dtype), torch.eye(size, dtype=dtype))
        .weights(scores, vertex)
        .padded()
    )
    expected = project_simplex((scores + torch.nn.functional.one_hot(vertex, size)).double())
    found = torch.zeros_like(scores).scatter_add_(1, codes, values)
    tolerance = 8 * size * torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=tolerance)
