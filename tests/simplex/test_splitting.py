import numpy as np
import pytest
import torch

from barycode.simplex import solve_convex_program
from barycode.simplex.nearest import nearest
from barycode.simplex.splitting import RELAXATION, split


def problem(n=20, k=12, d=5, seed=0, shift=0.0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    codebook = torch.randn(k, d, generator=generator, dtype=torch.float64)
    z = torch.randn(n, d, generator=generator, dtype=torch.float64) / 2
    return z * scale + shift, codebook * scale + shift


def after(z, codebook, regularization, steps, penalty=1.0):
    combined, blocks = split(z, codebook, regularization, nearest(z, codebook), steps=steps, penalty=penalty)
    return combined, torch.cat(blocks)


def onto_simplex(v):
    """By bisection (numpy)."""
    low, high = v.min() - 1, v.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(v - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(v - low, 0)


def by_the_definition(z, codebook, regularization, steps, penalty):
    """Proximal points by K x K systems, one vector at a time (numpy)."""
    codes, size = codebook - codebook.mean(0), len(codebook)
    rho = penalty * (codes**2).sum(1).mean()
    system = codes @ codes.T + (regularization + rho) * np.eye(size)
    rows = []
    for row in z - codebook.mean(0):
        there = np.eye(size)[((row - codes) ** 2).sum(1).argmin()]

        def proximal(s, row=row, there=there):
            return np.linalg.solve(system, codes @ row + regularization * there + rho * s)

        x = proximal(np.full(size, 1 / size))
        for _ in range(steps):
            q = onto_simplex(x)
            x = x + RELAXATION * (proximal(2 * q - x) - q)
        rows.append(onto_simplex(x))
    return np.stack(rows)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
@pytest.mark.parametrize("penalty", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("regularization", [1e-3, 0.3])
def test_steps_are_those_of_the_definition(steps, penalty, regularization):
    z, codebook = problem()
    combined, weights = after(z, codebook, regularization, steps, penalty)
    expected = by_the_definition(z.numpy(), codebook.numpy(), regularization, steps, penalty)
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-9)
    torch.testing.assert_close(combined, weights @ codebook)


@pytest.mark.parametrize("penalty", [0.03, 0.3])
def test_many_steps_end_at_the_optimum(penalty):
    z, codebook = problem()
    optimum = solve_convex_program(z, codebook, 0.1).require_convergence().weights
    torch.testing.assert_close(after(z, codebook, 0.1, 1500, penalty)[1], optimum, atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_gradient_is_that_of_what_was_computed(steps):
    z, codebook = (part.requires_grad_() for part in problem(n=6, k=7, d=3))
    vertex = nearest(z, codebook)
    rho = float((codebook - codebook.mean(0)).detach().square().sum(1).mean())

    def held(z, codebook):  # rho is held, so a penalty in units of the moved codebook's size gives the same
        size = float((codebook - codebook.mean(0)).detach().square().sum(1).mean())
        combined, blocks = split(z, codebook, 0.3, vertex, steps=steps, penalty=rho / size)
        return combined, torch.cat(blocks)

    assert torch.autograd.gradcheck(held, (z, codebook))


def test_second_derivatives_are_right():
    z, codebook = problem(n=4, k=5, d=2)
    vertex = nearest(z, codebook)

    def loss(z):
        return split(z, codebook, 0.3, vertex, steps=2)[0].pow(3)

    assert torch.autograd.gradgradcheck(loss, z.requires_grad_())


@pytest.mark.parametrize(("shift", "scale"), [(1e3, 1.0), (0.0, 1e6), (0.0, 1e-6)])
def test_neither_scale_nor_shift_matters(shift, scale):
    plain = after(*problem(), 0.1, 2)[1]
    moved = after(*problem(shift=shift, scale=scale), 0.1 * scale**2, 2)[1]
    torch.testing.assert_close(plain, moved, atol=1e-8, rtol=0)


@pytest.mark.parametrize("count", [0, 1, 300])
@pytest.mark.parametrize("size", [1, 2, 600])
def test_any_number_of_vectors_and_codes(count, size):
    z, codebook = (part.float().requires_grad_() for part in problem(n=count, k=size))
    combined, weights = after(z, codebook, 0.1, 2)
    assert combined.shape == z.shape
    assert weights.shape == (count, size)
    torch.testing.assert_close(weights.sum(-1), torch.ones(count), atol=1e-5, rtol=0)
    assert bool((weights >= 0).all())
    combined.sum().backward()


def test_the_first_steps_bring_pictures_of_vectors_inside_a_hull_near():
    generator = torch.Generator().manual_seed(0)
    codebook = torch.nn.functional.normalize(torch.randn(200, 8, generator=generator)) * 3
    z = torch.randn(500, 8, generator=generator) / 4
    relaxed = solve_convex_program(z, codebook, 0.1, max_iterations=0).combined
    errors = [(z - after(z, codebook, 0.1, steps)[0]).square().mean() for steps in (0, 1, 2)]
    assert max(errors[1:]) < errors[0] / 2
    assert float(errors[0]) < float((z - relaxed).square().mean()) / 20


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("scale", [1e4, 1e9, 1e20])
def test_vectors_far_from_the_codebook_get_a_point_of_its_hull(scale, steps):
    z, codebook = problem()
    combined, weights = after(scale * z.float(), codebook.float(), 0.1, steps)
    torch.testing.assert_close(weights.sum(1), torch.ones(len(z)))
    assert (weights >= 0).all()
    assert combined.norm(dim=1).max() <= codebook.norm(dim=1).max() + 1e-4
