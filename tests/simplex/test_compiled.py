"""The compiled method beside the one in torch. That both find the optimum, `test_convex_program` shows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode import machine_code
from barycode.simplex import compiled, solve_convex_program
from barycode.simplex.centered_codebook import GRAM_SIZE, CenteredCodebook
from barycode.simplex.compiled import systems

TOLERANCE = 2e-6  # of a weight: what the program stops at, for either
LAMBDAS = [1e-5, 1e-3, 0.1, 1.0, 10.0]
STRETCHES = [1.0, 0.3]  # of every further axis: an even codebook and one that is long in some directions


def both(z, codebook, regularization, **options):
    """Solutions, with the gradients of z, the codebook and lambda: compiled and in torch."""
    found = []
    for installed in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiled, "INSTALLED", installed)
            scale = torch.tensor(regularization, dtype=torch.float64)
            inputs = [part.clone().requires_grad_() for part in (z, codebook, scale)]
            solution = solve_convex_program(*inputs, **options)
            pull = torch.linspace(-1, 1, len(codebook), dtype=z.dtype)
            gradients = torch.autograd.grad((solution.weights * pull).sum(), inputs)
        found.append((solution, gradients))
    return found


def draw(n, k, d, inside, stretch, seed):
    generator = torch.Generator().manual_seed(seed)
    axes = stretch ** torch.arange(d, dtype=torch.float64)
    codebook = torch.randn(k, d, generator=generator, dtype=torch.float64) * axes
    z = torch.randn(n, d, generator=generator, dtype=torch.float64) * axes
    if inside:
        mixing = torch.rand(n, k, generator=generator, dtype=torch.float64).pow(8)
        z = mixing / mixing.sum(-1, keepdim=True) @ codebook
    return z, codebook


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 12),
    st.integers(1, 70),
    st.integers(1, 12),
    st.sampled_from(LAMBDAS),
    st.booleans(),
    st.sampled_from(STRETCHES),
    st.integers(0, 10**6),
)
def test_both_methods_find_the_same(n, k, d, regularization, inside, stretch, seed):
    z, codebook = draw(n, k, d, inside, stretch, seed)
    (ours, gradients), (theirs, expected) = both(z, codebook, regularization)
    assert ours.converged.tolist() == theirs.converged.tolist() == [True] * n
    torch.testing.assert_close(ours.weights, theirs.weights, atol=TOLERANCE, rtol=0)
    # A weight of nearly nothing may be in one support and not in the other.
    assert bool((ours.weights[theirs.weights > TOLERANCE] > 0).all())
    assert bool((theirs.weights[ours.weights > TOLERANCE] > 0).all())
    if bool(((ours.weights > 0) == (theirs.weights > 0)).all()):
        rounding = 1e-6 + 1e-15 / regularization**2  # dp / dlambda has lambda twice below
        for found, wanted in zip(gradients, expected, strict=True):
            torch.testing.assert_close(found, wanted, atol=rounding, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("inside", [False, True])
def test_a_codebook_of_a_layer(inside, dtype):
    z, codebook = (part.to(dtype) for part in draw(300, 512, 64, inside, 1.0, 0))
    (ours, gradients), (theirs, expected) = both(z, codebook, 0.1)
    assert bool(ours.converged.all())
    assert ours.values.dtype == dtype
    assert torch.equal(ours.support, theirs.support)
    torch.testing.assert_close(ours.weights, theirs.weights)
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4 * float(wanted.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("max_iterations", [1, 2, 3])
def test_a_solve_cut_short_is_a_point_of_the_simplex(max_iterations):
    z, codebook = draw(40, 60, 8, False, 1.0, 0)
    with pytest.warns(UserWarning, match="missed the tolerance"):
        ours, theirs = both(z, codebook, 1e-3, max_iterations=max_iterations)
    for solution, _ in (ours, theirs):
        assert bool((solution.values >= 0).all())
        torch.testing.assert_close(solution.weights.sum(-1), torch.ones(40, dtype=z.dtype))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.sampled_from(LAMBDAS), st.integers(0, 10**6))
def test_systems_have_the_solution_of_dense_algebra(size, dim, shift, seed):
    generator = np.random.default_rng(seed)
    codes = CenteredCodebook.of(torch.from_numpy(generator.normal(size=(50, dim))))
    indices = torch.full((3, size + 2), codes.size)
    right = torch.from_numpy(generator.normal(size=(3, size + 2)))
    for row in range(3):
        chosen = generator.choice(50, size, replace=False)
        indices[row, generator.choice(size + 2, size, replace=False)] = torch.from_numpy(chosen)
    x = compiled.solve_systems(codes, indices, shift, right, 0.5, 1e-9)
    assert bool((x[indices == codes.size] == 0).all())
    for row in range(3):
        there = indices[row] < codes.size
        chosen = codes.vectors[indices[row][there]].numpy()
        system = np.block(
            [
                [chosen @ chosen.T + shift * np.eye(size), np.ones((size, 1))],
                [np.ones((1, size)), np.zeros((1, 1))],
            ]
        )
        expected = np.linalg.solve(system, np.append(right[row][there].numpy(), 0.5))[:size]
        np.testing.assert_allclose(
            x[row][there].numpy(), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max()
        )


def test_layouts_are_compiled_once():
    z, codebook = draw(30, 40, 6, False, 1.0, 0)
    solve_convex_program(z, codebook, 0.1)
    before = len(compiled.import_module("barycode.simplex.compiled.active_set").solve_rows.signatures)
    for other in (z.T.contiguous().T, z[::2], z.repeat(1, 2)[:, :6], z[:1].expand(5, 6)):
        p = solve_convex_program(other.requires_grad_(), codebook, 0.1).weights
        p.sum().backward()
    after = len(compiled.import_module("barycode.simplex.compiled.active_set").solve_rows.signatures)
    assert before == after == 1
    assert len(systems.solve_rows.signatures) == 1


def test_where_no_place_can_be_written_to_nothing_is_kept(monkeypatch):
    def njit(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr("numba.njit", njit)
    assert machine_code.compiled(abs) is abs


def test_large_codebooks_and_other_devices_are_left_to_torch(monkeypatch):
    assert compiled.applies(CenteredCodebook.of(torch.randn(GRAM_SIZE, 2)))
    assert not compiled.applies(CenteredCodebook.of(torch.randn(GRAM_SIZE + 1, 2)))
    monkeypatch.setattr(compiled, "INSTALLED", False)
    assert not compiled.applies(CenteredCodebook.of(torch.randn(4, 2)))
