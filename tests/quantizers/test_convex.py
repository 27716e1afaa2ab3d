import math
from functools import partial
from itertools import chain, combinations

import pytest
import torch
from torch.func import functional_call

from barycode.errors import InvalidInputError
from barycode.quantizers import (
    CodebookHealth,
    CodebookStatistics,
    DenseAssignment,
    EmaUpdate,
    ExactProgram,
    LinearSchedule,
    RelaxedProgram,
    SoftConvexQuantizer,
    SparseCode,
    SplittingProgram,
    archetypes,
    farthest,
    nearest,
    revive,
    sample,
    worst_quantized,
)
from barycode.simplex import ConvergenceWarning, project_simplex


def by_every_support(z: torch.Tensor, codebook: torch.Tensor, strength: float) -> torch.Tensor:
    """The program's optimum in float64: the best of the feasible minimisers over all supports."""
    vertex = torch.zeros(len(codebook), dtype=torch.float64)
    vertex[nearest(z, codebook)] = 1
    z, codebook = z.double(), codebook.double()
    best, lowest = vertex, torch.inf
    sizes = range(1, len(codebook) + 1)
    for support in chain.from_iterable(combinations(range(len(codebook)), size) for size in sizes):
        chosen = list(support)
        rows, ones = codebook[chosen], torch.ones(len(chosen), 1, dtype=torch.float64)
        hessian = rows @ rows.T + strength * torch.eye(len(chosen))
        system = torch.cat([torch.cat([hessian, ones], 1), torch.cat([ones.T, torch.zeros(1, 1)], 1)])
        right = torch.cat([rows @ z + strength * vertex[chosen], torch.ones(1)])
        weights = torch.zeros_like(vertex)
        weights[chosen] = torch.linalg.solve(system, right)[:-1]
        value = (z - weights @ codebook).square().sum() + strength * (weights - vertex).square().sum()
        if (weights >= 0).all() and value < lowest:
            best, lowest = weights, value
    return best


def test_training_takes_the_optimum_of_the_program():
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(6, 3, program=ExactProgram(0.2))
    z = torch.randn(12, 3)
    result = quantizer(z)
    codebook = quantizer.codebook.vectors.detach()
    expected = torch.stack([by_every_support(row, codebook, 0.2) for row in z])
    torch.testing.assert_close(result.weights.dense().double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(result.quantized, expected.float() @ codebook, rtol=1e-4, atol=1e-5)


def test_a_program_cut_short_says_so_and_returns_points_of_the_simplex():
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(64, 3, program=ExactProgram(1e-3, max_iterations=1))
    z = torch.randn(200, 3)
    with pytest.warns(ConvergenceWarning, match="missed the tolerance"):
        weights = quantizer(z).weights.dense()
    torch.testing.assert_close(weights, project_simplex(weights))
    error = (weights - ExactProgram(1e-3)(z, quantizer.codebook.vectors).dense()).abs().max()
    assert error > 1e-3


def test_a_program_of_no_iterations_is_the_relaxation_and_is_asked_for_by_that_name():
    with pytest.raises(InvalidInputError, match="Relaxed"):
        ExactProgram(0.1, max_iterations=0)


def test_the_relaxation_is_the_papers_system_and_a_projection():
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(12, 3, program=RelaxedProgram(0.3)).double()
    z = torch.randn(40, 3, dtype=torch.float64)
    codebook = quantizer.codebook.vectors.detach()
    vertex = torch.nn.functional.one_hot(nearest(z, codebook), 12).double()
    system = codebook @ codebook.T + 0.3 * torch.eye(12)
    solved = torch.linalg.solve(system, codebook @ z.T + 0.3 * vertex.T).T
    torch.testing.assert_close(quantizer(z).weights.dense(), project_simplex(solved))


def test_each_step_from_vertex_to_relaxation_to_optimum_lowers_the_objective():
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(32, 4, program=ExactProgram(0.1))
    z = torch.randn(200, 4)
    codebook = quantizer.codebook.vectors.detach()
    vertex = torch.nn.functional.one_hot(nearest(z, codebook), 32).float()
    values = []
    for weights in (vertex, RelaxedProgram(0.1)(z, codebook).dense(), ExactProgram(0.1)(z, codebook).dense()):
        error = (z - weights @ codebook).square().sum(1)
        values.append((error + 0.1 * (weights - vertex).square().sum(1)).mean())
    assert values == sorted(values, reverse=True)
    assert values[2] < 0.5 * values[0]


@pytest.mark.parametrize(
    "program", [ExactProgram(0.5, tolerance=1e-10), RelaxedProgram(0.5)], ids=["exact", "relaxed"]
)
def test_gradients_reach_vectors_and_codebook(program):
    torch.manual_seed(3)
    quantizer = SoftConvexQuantizer(6, 3, program=program).double()
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    codebook = quantizer.codebook.vectors.detach().clone().requires_grad_()

    def quantized(z: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        return functional_call(quantizer, {"codebook.vectors": codebook}, z).quantized

    assert torch.autograd.gradcheck(quantized, (z, codebook))


def test_the_losses_are_routed_to_what_they_name():
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(8, 3, commitment_weight=0.5)
    z = torch.randn(20, 3, requires_grad=True)
    result = quantizer(z)
    parameters = [z, quantizer.codebook.vectors]
    both = [
        torch.autograd.grad(result.losses[name], parameters, allow_unused=True)
        for name in ("commitment_loss", "codebook_loss")
    ]
    assert both[0][1] is None
    assert both[1][0] is None
    error = (result.quantized - z).detach()
    torch.testing.assert_close(both[0][0], -2 * error / z.numel())
    torch.testing.assert_close(both[1][1], 2 * result.weights.dense().detach().T @ error / z.numel())
    torch.testing.assert_close(result.loss, 1.5 * error.square().mean())


def test_training_by_gradient_lowers_the_distortion():
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(16, 4)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.05)
    z = torch.randn(300, 4)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        _, _, loss = quantizer(z)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("code", [SparseCode(), SparseCode(2, 3)], ids=["vertex", "pairs"])
def test_hardness_moves_the_value_to_the_code_and_keeps_the_gradient(code: SparseCode):
    """Law 4: soft outputs become hard outputs. The gradient stays that of the program."""
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(16, 3, code=code)
    z = torch.randn(50, 3, requires_grad=True)
    soft, hard = quantizer(z).quantized.detach(), quantizer.reconstruct(z).detach()
    direction = torch.randn_like(z)
    (expected,) = torch.autograd.grad(quantizer(z).quantized, z, direction)
    for hardness in (0.0, 0.25, 1.0):
        quantizer.anneal_to(hardness)
        result = quantizer(z)
        torch.testing.assert_close(result.quantized, torch.lerp(soft, hard, hardness), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(result.weights.dense().sum(-1), torch.ones(50))
        (gradient,) = torch.autograd.grad(result.quantized, z, direction)
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(result.weights.vertex(), quantizer.code.weights(result.indices, 16, z.dtype).vertex())


def test_a_schedule_anneals_and_the_state_dict_remembers():
    quantizer = SoftConvexQuantizer(4, 2)
    schedule = LinearSchedule(0.25, 1.0, 3)
    for _ in range(3):
        quantizer.anneal_to(schedule.step())
    other = SoftConvexQuantizer(4, 2)
    other.load_state_dict(quantizer.state_dict())
    assert other.hardness == 1


def test_without_a_code_the_bottleneck_is_continuous():
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(16, 3, code=None)
    z = torch.randn(40, 3)
    trained = quantizer(z).quantized
    result = quantizer.eval()(z)
    assert torch.equal(result.quantized, trained)
    assert torch.equal(result.indices, nearest(z, quantizer.codebook.vectors))
    assert (z - trained).square().mean() < 0.6 * (z - quantizer.reconstruct(z)).square().mean()
    with pytest.raises(InvalidInputError, match="0 without a code"):
        quantizer.anneal_to(0.5)


def test_soft_weights_are_there_in_every_mode():
    quantizer = SoftConvexQuantizer(16, 3)
    z = torch.randn(7, 3)
    quantizer.anneal_to(1.0)
    expected = quantizer.program(z, quantizer.codebook.vectors).dense()
    assert torch.equal(quantizer.eval().soft(z).dense(), expected)
    with pytest.raises(InvalidInputError, match="NaN"):
        quantizer.soft(z * torch.nan)


@pytest.mark.parametrize("hardness", [0.0, 1.0])
def test_a_step_of_the_codebook_never_raises_the_error_of_the_weights_held(hardness: float):
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(12, 3, code=SparseCode(2, 3)).requires_grad_(False)
    quantizer.anneal_to(hardness)
    z = torch.randn(200, 3)
    for _ in range(4):
        weights = quantizer(z).weights
        before = (z - weights.decode(quantizer.codebook.vectors)).square().sum()
        EmaUpdate(decay=0)(quantizer, quantizer.statistics(z))
        assert (z - weights.decode(quantizer.codebook.vectors)).square().sum() < before


def test_at_the_vertices_the_step_is_that_of_kmeans():
    quantizer = SoftConvexQuantizer(8, 3)
    quantizer.anneal_to(1.0)
    z = torch.randn(100, 3)
    (ours,) = quantizer.statistics(z)
    expected = CodebookStatistics.gather(z, quantizer.encode(z), 8)
    torch.testing.assert_close(ours.counts, expected.counts)
    torch.testing.assert_close(ours.sums, expected.sums, rtol=1e-5, atol=1e-5)


def test_unused_code_vectors_revive_where_the_hull_is_too_small():
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(24, 4, program=ExactProgram(1e-3))
    z = torch.randn(300, 4)
    quantizer.codebook.load(torch.cat([0.3 * farthest(z, 8), torch.full((16, 4), 1e-3)]))
    before = quantizer(z)
    health = CodebookHealth(24)
    health.update_weights(DenseAssignment(before.weights.dense()))
    rare = health.rare_codes(0.2)
    assert 0 < rare.sum() < 24
    candidates = worst_quantized(z, before.quantized, int(rare.sum()))
    revive(quantizer.codebook, rare, candidates)
    assert (z - quantizer(z).quantized).square().mean() < 0.3 * (z - before.quantized).square().mean()


@pytest.mark.parametrize("hardness", [-0.1, 1.1, float("nan")])
def test_a_hardness_that_is_none_is_a_typed_error(hardness: float):
    with pytest.raises(InvalidInputError, match="hardness"):
        SoftConvexQuantizer(4, 2).anneal_to(hardness)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize(
    "program", [ExactProgram, RelaxedProgram, SplittingProgram, partial(ExactProgram, 0.1)]
)
def test_a_program_without_a_positive_lambda_and_tolerance_is_a_typed_error(program, value: float):
    with pytest.raises(InvalidInputError, match="finite number > 0"):
        program(value)


def test_a_codebook_for_combinations_starts_at_archetypes():
    torch.manual_seed(0)
    quantizer = SoftConvexQuantizer(12, 4)
    z = torch.randn(500, 4)
    errors = []
    for method in (farthest, archetypes):
        quantizer.initialize(z, method)
        errors.append((z - quantizer(z).quantized).square().mean())
    assert errors[1] < 0.5 * errors[0]


def test_the_usage_loss_evens_out_the_mean_weights():
    torch.manual_seed(0)
    z = torch.randn(256, 4)
    scq = SoftConvexQuantizer(16, 4, code=None, usage_weight=1.0)
    scq.initialize(z, sample)
    share = scq(z).weights.total().detach() / len(z)
    losses = scq(z).losses
    expected = math.log(16) + float(torch.xlogy(share, share).sum())
    assert losses["usage_loss"].item() == pytest.approx(expected, rel=1e-4)
    optimizer = torch.optim.Adam(scq.parameters(), 0.02)
    for _ in range(30):
        optimizer.zero_grad()
        scq(z).loss.backward()
        optimizer.step()
    assert scq(z).losses["usage_loss"].item() < 0.5 * expected


@pytest.mark.parametrize(
    ("weight", "program"),
    [(-1.0, ExactProgram()), (math.inf, ExactProgram()), (math.nan, ExactProgram()), (0.1, RelaxedProgram())],
)
def test_a_usage_weight_that_cannot_be_is_a_typed_error(weight, program):
    with pytest.raises(InvalidInputError, match=r"usage.weight"):
        SoftConvexQuantizer(4, 2, program=program, usage_weight=weight)


def test_code_vectors_that_nothing_uses_leave_the_usage_loss_finite():
    scq = SoftConvexQuantizer(16, 4, code=None, usage_weight=1.0)
    with torch.no_grad():
        scq.codebook.vectors[8:] = 100.0
    z = torch.zeros(3, 4, requires_grad=True)
    scq(z).loss.backward()
    assert bool(z.grad.isfinite().all())
    assert bool(scq.codebook.vectors.grad.isfinite().all())


def test_no_vectors_have_no_usage_loss():
    scq = SoftConvexQuantizer(16, 4, code=None, usage_weight=1.0)
    z = torch.zeros(0, 4, requires_grad=True)
    loss = scq(z).loss
    loss.backward()
    assert loss == 0
