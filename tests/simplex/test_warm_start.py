import pytest
import torch

from barycode.simplex import solve_convex_program
from barycode.simplex.warm_start import WarmStart

EVEN, UNEVEN = torch.ones(8, dtype=torch.float64), torch.logspace(0, -2, 8, dtype=torch.float64)


def problem(scale=1.0, size=40, stretch=EVEN):
    generator = torch.Generator().manual_seed(0)
    codebook = torch.randn(size, 8, generator=generator, dtype=torch.float64) * scale * stretch
    codebook = codebook - codebook.mean(0)
    z = torch.randn(50, 8, generator=generator, dtype=torch.float64) * scale * stretch
    return z, codebook, torch.cdist(z, codebook).argmin(-1)


def dense(values, indices, size):
    return torch.zeros(len(values), size).scatter_add(1, indices, values)


def test_only_an_uneven_codebook_is_approached_by_splitting():
    assert WarmStart.of(problem()[1], 0.1).splitting is None
    assert WarmStart.of(problem(stretch=UNEVEN)[1], 0.1).splitting is not None


@pytest.mark.parametrize("stretch", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_it_comes_near_the_optimum_at_any_scale(scale, stretch):
    z, codebook, vertex = problem(scale, stretch=stretch)
    regularization = 0.1 * scale**2
    found = dense(*WarmStart.of(codebook, regularization).start(z, vertex), len(codebook))
    optimum = solve_convex_program(z, codebook, regularization).require_convergence().weights
    assert float((found - optimum).abs().sum(1).mean()) < 0.2
    missed = (optimum > 0.02) & (found == 0)
    assert int(missed.sum()) <= 0.02 * int((optimum > 0.02).sum())


def test_weights_sum_to_one_and_indices_differ():
    z, codebook, vertex = problem(size=100)
    values, indices = WarmStart.of(codebook, 0.1).start(z, vertex)
    torch.testing.assert_close(values.sum(1), torch.ones(len(z)))
    for row, chosen in zip(values, indices, strict=True):
        positive = chosen[row > 0]
        assert len(positive.unique()) == len(positive)


@pytest.mark.parametrize("far", [1e3, 1e30, 1e200])
@pytest.mark.parametrize("regularization", [1e-30, 1e-4, 1e30])
@pytest.mark.parametrize("stretch", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_extremes_are_finite(far, regularization, stretch):
    z, codebook, vertex = problem(stretch=stretch)
    values, _ = WarmStart.of(codebook, regularization).start(z * far, vertex)
    assert bool(values.isfinite().all())
    assert bool((values.sum(1) > 0.999).all())


def test_a_single_code_gets_everything():
    z, _, _ = problem()
    nothing = torch.zeros(len(z), dtype=torch.int64)
    values, indices = WarmStart.of(torch.zeros(1, 8, dtype=torch.float64), 0.1).start(z, nothing)
    assert bool((values == 1).all())
    assert bool((indices == 0).all())
