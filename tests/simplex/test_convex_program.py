import itertools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import BarycodeError, ConvergenceError, InvalidInputError, SecondDerivativeError
from barycode.simplex import (
    ConvergenceWarning,
    centered_codebook,
    compiled,
    convex_program,
    project_simplex,
    projection,
    solve_convex_program,
    sparse,
)

LAMBDAS = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0]


@pytest.fixture(scope="module", params=["compiled", "torch"], autouse=True)
def method(request):
    """Every test holds for both methods."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "torch":
            patch.setattr(compiled, "INSTALLED", False)
        yield request.param


def problem(n=32, k=24, d=6, inside=False, dtype=torch.float64, seed=0):
    """Vectors mostly outside of the hull of the codes, or inside of it."""
    generator = torch.Generator().manual_seed(seed)
    codebook = torch.randn(k, d, generator=generator, dtype=torch.float64) / d**0.5
    z = torch.randn(n, d, generator=generator, dtype=torch.float64) / d**0.5
    if inside:
        z = torch.rand(n, k, generator=generator, dtype=torch.float64).pow(8)
        z = z / z.sum(-1, keepdim=True) @ codebook
    return z.to(dtype), codebook.to(dtype)


def vertices(z, codebook):
    nearest = torch.cdist(z, codebook).argmin(-1)
    return torch.nn.functional.one_hot(nearest, len(codebook)).to(z.dtype)


def objective(p, z, codebook, regularization):
    return ((z - p @ codebook) ** 2).sum(-1) + regularization * ((p - vertices(z, codebook)) ** 2).sum(-1)


def by_enumeration(z, codebook, regularization):
    """An independent oracle for few code vectors: the best feasible optimum over every support (numpy)."""
    k = len(codebook)
    start = np.eye(k)[((z - codebook) ** 2).sum(-1).argmin()]
    best, least = None, np.inf
    for size in range(1, k + 1):
        for support in map(list, itertools.combinations(range(k), size)):
            chosen = codebook[support]
            system = np.block(
                [
                    [chosen @ chosen.T + regularization * np.eye(size), np.ones((size, 1))],
                    [np.ones((1, size)), np.zeros((1, 1))],
                ]
            )
            right = np.append(chosen @ z + regularization * start[support], 1)
            weights = np.zeros(k)
            weights[support] = np.linalg.solve(system, right)[:size]
            value = ((z - weights @ codebook) ** 2).sum() + regularization * ((weights - start) ** 2).sum()
            if (weights >= 0).all() and value < least:
                best, least = weights, value
    return best


@pytest.mark.parametrize("regularization", LAMBDAS)
@pytest.mark.parametrize("inside", [False, True])
def test_agrees_with_the_best_of_all_supports(regularization, inside):
    z, codebook = problem(n=12, k=7, d=3, inside=inside)
    weights = solve_convex_program(z, codebook, regularization).require_convergence().weights
    expected = np.stack([by_enumeration(row, codebook.numpy(), regularization) for row in z.numpy()])
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.sampled_from(LAMBDAS), st.booleans(), st.integers(0, 10**6))
def test_no_point_of_the_simplex_is_better(k, d, regularization, inside, seed):
    z, codebook = problem(8, k, d, inside, seed=seed)
    solution = solve_convex_program(z, codebook, regularization).require_convergence()
    p = solution.weights
    assert bool((p >= 0).all())
    torch.testing.assert_close(p.sum(-1), torch.ones(8, dtype=p.dtype))
    # The directional derivative towards every vertex is not negative: the optimality condition itself.
    gradient = 2 * (p @ codebook - z) @ codebook.T + 2 * regularization * (p - vertices(z, codebook))
    towards = gradient - (gradient * p).sum(-1, keepdim=True)
    assert float(towards.min()) >= -1e-5 * regularization - 1e-12


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    ("dtype", "regularization"),
    [(torch.float64, each) for each in LAMBDAS] + [(torch.float32, each) for each in LAMBDAS if each > 1e-4],
)
def test_converges_at_every_lambda_that_the_dtype_resolves(regularization, dtype, inside):
    z, codebook = problem(64, 100, 16, inside, dtype)
    solution = solve_convex_program(z, codebook, regularization)
    assert bool(solution.converged.all())
    assert float(solution.residual.max()) <= solution.tolerance
    assert solution.tolerance == (1e-6 if dtype == torch.float64 else convex_program.FLOAT32_TOLERANCE)
    assert solution.weights.dtype == dtype


@pytest.mark.parametrize("regularization", LAMBDAS)
def test_duplicate_and_collinear_codes(regularization):
    z, codebook = problem(16, 5, 4)
    line = torch.linspace(-1, 1, 20, dtype=z.dtype)[:, None] * codebook[:1]
    codebook = torch.cat([codebook, codebook, line])
    weights = solve_convex_program(z, codebook, regularization).require_convergence().weights
    # The ridge shares a weight evenly among duplicates, but for the pull of the chosen vertex.
    first, second = weights[:, :5], weights[:, 5:10]
    chosen = vertices(z, codebook)[:, :10].reshape(16, 2, 5).sum(1) > 0
    torch.testing.assert_close(first[~chosen], second[~chosen], atol=1e-6, rtol=0)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scale_does_not_matter(factor):
    z, codebook = problem()
    small = solve_convex_program(z, codebook, 0.1).weights
    large = solve_convex_program(z * factor, codebook * factor, 0.1 * factor**2).require_convergence().weights
    torch.testing.assert_close(small, large, atol=1e-7, rtol=0)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    ("factor", "regularization"), [(1e7, 0.1), (1e6, 1e-3), (1e5, 1e-6), (1e150, 0.1), (1e200, 1e-300)]
)
def test_a_lambda_that_rounding_hides_costs_neither_time_nor_the_solution(factor, regularization, inside):
    z, codebook = problem(inside=inside)
    with pytest.warns(ConvergenceWarning, match="Rounding hides a lambda"):
        solution = solve_convex_program(z * factor, codebook * factor, regularization)
    assert int(solution.iterations.max()) < 100
    error = (z - solution.combined / factor).square().sum(-1)
    best = (z - solve_convex_program(z, codebook, 1e-8).combined).square().sum(-1)
    assert float((error - best).max()) < 1e-7


@pytest.mark.parametrize("regularization", [1e-9, 1e-3, 10.0])
@pytest.mark.parametrize("factor", [1e9, 1e15, 1e30, 1e150, 1e300])
def test_a_vector_far_from_the_codebook_gets_the_vertex_in_its_direction(factor, regularization):
    z, codebook = problem()
    solution = solve_convex_program(z * factor, codebook, regularization).require_convergence()
    furthest = (z @ codebook.T).argmax(-1)
    torch.testing.assert_close(solution.weights.gather(1, furthest[:, None]), torch.ones_like(z[:, :1]))
    assert int(solution.iterations.max()) < 20


@pytest.mark.parametrize("factor", [1e-160, 1e-300])
def test_a_lambda_that_hides_the_rest_leaves_the_vertices(factor):
    z, codebook = problem()
    weights = solve_convex_program(z * factor, codebook * factor, 0.1).require_convergence().weights
    assert bool((weights.amax(-1) > 1 - 1e-9).all())


@pytest.mark.parametrize("regularization", [1e-8, 1e-6, 1e-4, 1e-2, 1.0])
def test_float32_is_judged_by_the_weights_that_it_returns(regularization):
    z, codebook = problem(dtype=torch.float32)
    solution = solve_convex_program(z, codebook, regularization)
    z, codebook, p = (part.double() for part in (z, codebook, solution.weights))
    z, codebook = z - codebook.mean(0), codebook - codebook.mean(0)  # p sums to one up to rounding alone
    gradient = (p @ codebook - z) @ codebook.T + regularization * (p - vertices(z, codebook))
    gap = (p * (gradient - gradient.amin(-1, keepdim=True))).sum(-1) / regularization  # of Frank and Wolfe
    assert bool((gap <= 2 * solution.residual + 1e-6).all())
    assert bool((gap[solution.converged] <= 2e-4).all())


@pytest.mark.parametrize("shift", [1e3, 1e6, -1e6])
def test_float32_far_from_the_origin_rounds_no_more_than_its_input(shift):
    z, codebook = (100 * part + shift for part in problem(dtype=torch.float32))
    z, codebook = z.requires_grad_(), codebook.requires_grad_()
    precise = [part.detach().double().requires_grad_() for part in (z, codebook)]
    found, expected = solve_convex_program(z, codebook, 1e3), solve_convex_program(*precise, 1e3)
    spacing = torch.finfo(torch.float32).eps * abs(shift)
    torch.testing.assert_close(found.combined.double(), expected.combined, atol=spacing, rtol=0)
    pull = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad(found.combined, (z, codebook), pull)
    for ours, right in zip(
        gradients, torch.autograd.grad(expected.combined, precise, pull.double()), strict=True
    ):
        torch.testing.assert_close(ours.double(), right, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("max_iterations", [0, 2000])
@pytest.mark.parametrize("what", ["weights", "combined"])
def test_a_second_derivative_is_refused(max_iterations, what):
    z, codebook = problem()
    z.requires_grad_()
    solution = solve_convex_program(z, codebook, 0.1, max_iterations=max_iterations)
    (slope,) = torch.autograd.grad(getattr(solution, what).square().sum(), z, create_graph=True)
    with pytest.raises(SecondDerivativeError, match="gradient penalty"):
        (slope.square().sum() + z.square().sum()).backward()


def test_a_common_shift_does_not_matter():
    z, codebook = problem()
    shifted = solve_convex_program(z + 1e4, codebook + 1e4, 1e-3).require_convergence().weights
    torch.testing.assert_close(shifted, solve_convex_program(z, codebook, 1e-3).weights, atol=1e-6, rtol=0)


@pytest.mark.parametrize("regularization", [1e-3, 0.1, 10.0])
def test_zero_iterations_are_the_relaxation_of_the_paper(regularization):
    z, codebook = problem()
    start = vertices(z, codebook)
    system = codebook @ codebook.T + regularization * torch.eye(len(codebook), dtype=z.dtype)
    free = torch.linalg.solve(system, (z @ codebook.T + regularization * start).T).T
    solution = solve_convex_program(z, codebook, regularization, max_iterations=0)
    torch.testing.assert_close(solution.weights, project_simplex(free))
    assert bool((solution.iterations == 0).all())


@pytest.mark.parametrize("inside", [False, True])
def test_more_iterations_lower_the_objective(inside):
    z, codebook = problem(64, 60, 8, inside)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        values = [
            objective(
                solve_convex_program(z, codebook, 0.1, max_iterations=count).weights, z, codebook, 0.1
            ).mean()
            for count in (4, 8, 12, 50)
        ]
    assert values == sorted(values, reverse=True)


def test_the_residual_certifies():
    z, codebook = problem()
    optimum = solve_convex_program(z, codebook, 0.1)
    relaxed = solve_convex_program(z, codebook, 0.1, max_iterations=0)
    assert float(optimum.residual.max()) < 1e-7
    assert float(relaxed.residual.max()) > 0.01
    assert not bool(relaxed.converged.all())


def test_missed_tolerance_warns_and_raises_on_request():
    z, codebook = problem(64, 60, 8)
    z.requires_grad_()
    with pytest.warns(ConvergenceWarning, match="missed the tolerance"):
        solution = solve_convex_program(z, codebook, 1e-3, max_iterations=2)
    assert bool(solution.residual.isfinite().all())
    torch.testing.assert_close(solution.weights.sum(-1), torch.ones(64, dtype=z.dtype))
    solution.combined.sum().backward()
    assert bool(z.grad.isfinite().all())
    with pytest.raises(ConvergenceError, match="missed the tolerance"):
        solution.require_convergence()


@pytest.mark.parametrize("max_iterations", [0, 2000])
@pytest.mark.parametrize("regularization", [1e-2, 0.5])
@pytest.mark.parametrize("inside", [False, True])
def test_derivatives_of_weights_and_combination(regularization, inside, max_iterations):
    z, codebook = problem(6, 9, 3, inside)
    scale = torch.tensor(regularization, dtype=torch.float64)

    def function(z, codebook, scale):
        solution = solve_convex_program(z, codebook, scale, tolerance=1e-12, max_iterations=max_iterations)
        return solution.weights, solution.combined

    inputs = [t.clone().requires_grad_() for t in (z, codebook, scale)]
    assert torch.autograd.gradcheck(function, inputs)


def test_derivative_is_the_implicit_one():
    z, codebook = problem(5, 12, 4)
    regularization = 0.05
    z.requires_grad_()
    weights = solve_convex_program(z, codebook, regularization).weights
    (gradient,) = torch.autograd.grad(weights[0, int(weights[0].argmax())], z)
    support = (weights[0] > 0).nonzero()[:, 0]
    chosen, size = codebook[support], len(support)
    system = torch.zeros(size + 1, size + 1, dtype=z.dtype)
    system[:size, :size] = chosen @ chosen.T + regularization * torch.eye(size, dtype=z.dtype)
    system[size, :size] = system[:size, size] = 1
    jacobian = torch.linalg.solve(system, torch.cat([chosen, torch.zeros(1, 4, dtype=z.dtype)]))[:size]
    torch.testing.assert_close(gradient[0], jacobian[int(weights[0, support].argmax())])
    assert float(gradient[1:].abs().max()) == 0


def test_blocks_and_large_codebooks_change_nothing(monkeypatch):
    z, codebook = problem(70, 50, 5)
    z.requires_grad_()

    def solve():
        weights = solve_convex_program(z, codebook, 0.1).weights
        return weights.detach(), torch.autograd.grad((weights**2).sum(), z)[0]

    expected = solve()
    monkeypatch.setattr(sparse, "BLOCK_ENTRIES", 50 * 16)
    monkeypatch.setattr(centered_codebook, "GRAM_SIZE", 1)
    for found, wanted in zip(solve(), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=0)


def test_supports_larger_than_a_selection():
    generator = torch.Generator().manual_seed(0)
    codebook = torch.randn(150, 60, generator=generator, dtype=torch.float64)
    z = torch.rand(4, 150, generator=generator, dtype=torch.float64)
    z = z / z.sum(-1, keepdim=True) @ codebook
    solution = solve_convex_program(z, codebook, 1e-2).require_convergence()
    assert int(solution.support.min()) > projection.SELECTED
    torch.testing.assert_close(solution.combined, solution.weights @ codebook)


def test_one_code_and_no_vectors():
    assert solve_convex_program(torch.randn(3, 2), torch.randn(1, 2), 0.1).weights.tolist() == [[1.0]] * 3
    for count in (0, 5):
        empty = solve_convex_program(
            torch.zeros(0, 2).requires_grad_(), torch.randn(4, 2), 0.1, max_iterations=count
        )
        assert empty.weights.shape == (0, 4)
        empty.combined.sum().backward()


BAD = {
    "NaN": (torch.full((2, 3), torch.nan), torch.ones(4, 3), 0.1),
    "infinite": (torch.zeros(2, 3), torch.full((4, 3), torch.inf), 0.1),
    "last dimension": (torch.zeros(2, 3), torch.zeros(4, 2), 0.1),
    "vector": (torch.zeros(3), torch.zeros(4, 3), 0.1),
    "integers": (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(4, 3), 0.1),
    "half precision": (torch.zeros(2, 3).half(), torch.zeros(4, 3).half(), 0.1),
    "two precisions": (torch.zeros(2, 3), torch.zeros(4, 3).double(), 0.1),
    "no codes": (torch.zeros(2, 3), torch.zeros(0, 3), 0.1),
    "zero lambda": (torch.zeros(2, 3), torch.zeros(4, 3), 0.0),
    "negative lambda": (torch.zeros(2, 3), torch.zeros(4, 3), -1.0),
    "NaN lambda": (torch.zeros(2, 3), torch.zeros(4, 3), float("nan")),
    "many lambdas": (torch.zeros(2, 3), torch.zeros(4, 3), torch.ones(2)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name):
    with pytest.raises(InvalidInputError) as caught:
        solve_convex_program(*BAD[name])
    assert isinstance(caught.value, BarycodeError)


@pytest.mark.parametrize("options", [{"tolerance": 0.0}, {"max_iterations": -1}])
def test_bad_options_are_refused(options):
    with pytest.raises(InvalidInputError, match="tolerance > 0"):
        solve_convex_program(torch.zeros(2, 3), torch.zeros(4, 3), 0.1, **options)


@pytest.mark.parametrize("total", [0.0, 1.0])
def test_systems_of_long_supports_have_the_solution_of_systems_of_d_equations(total):
    generator = torch.Generator().manual_seed(1)
    book = centered_codebook.CenteredCodebook.of(torch.randn(40, 4, generator=generator))
    indices = torch.stack([torch.randperm(40, generator=generator)[:20] for _ in range(7)])
    indices[3, 12:] = book.size  # shorter than the others
    right = torch.randn(7, 20, generator=generator, dtype=torch.float64)
    exact, quick = (book.solve(indices, 0.1, right, total, accuracy) for accuracy in (0.0, 1e-9))
    assert not torch.equal(exact, quick)  # two ways, indeed
    torch.testing.assert_close(quick, exact, atol=1e-9, rtol=0)
    chosen = book.vectors[indices]
    left = (chosen @ chosen.mT @ exact[..., None])[..., 0] + 0.1 * exact
    multiplier = right - left  # nu, the same at all places of a row
    for row, count in ((0, 20), (3, 12)):
        torch.testing.assert_close(multiplier[row, :count], multiplier[row, :1].expand(count))
        torch.testing.assert_close(exact[row, :count].sum(), torch.tensor(total, dtype=torch.float64))
    assert not bool(exact[3, 12:].any())
