"""What a compiled graph computes is what the programs compute without one."""

import pytest
import torch

from barycode.quantizers import (
    ExactProgram,
    RelaxedProgram,
    SoftConvexQuantizer,
    SparseCode,
    SplittingProgram,
)
from barycode.simplex import project_simplex, solve_convex_program
from barycode.simplex.graphs import relax_in_graph, solve_in_graph
from barycode.simplex.nearest import nearest

LAMBDA = 0.1
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*should not be instantiated:DeprecationWarning"  # dynamo's own doing
)


def problem(n: int = 50, k: int = 200, d: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    z, codebook, pull = (torch.randn(*shape, generator=generator) for shape in ((n, d), (k, d), (n, k)))
    return z.requires_grad_(), codebook.requires_grad_(), pull


def in_graph(program: str, z: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    if program == "relaxed":
        return relax_in_graph(z, codebook, LAMBDA, nearest(z, codebook))
    return solve_in_graph(z, codebook, LAMBDA, tolerance=1e-6, max_iterations=200)


@pytest.mark.parametrize("program", ["exact", "relaxed"])
def test_weights_and_gradients_are_those_of_the_solver(program: str):
    z, codebook, pull = problem()
    iterations = {"max_iterations": 0} if program == "relaxed" else {}
    results = []
    for weights in (
        in_graph(program, z, codebook),
        solve_convex_program(z, codebook, LAMBDA, **iterations).weights,
    ):
        gradients = torch.autograd.grad((weights * pull).sum(), (z, codebook))
        results.append([weights.detach(), *gradients])
    torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=2e-4)


def test_no_vectors_are_no_error():
    z, codebook, _ = problem(n=0)
    weights = in_graph("exact", z, codebook)
    assert weights.shape == (0, 200)
    assert torch.autograd.grad(weights.sum(), codebook)[0].abs().sum() == 0


@pytest.mark.parametrize(
    "code", [None, SparseCode(), SparseCode(2, 3)], ids=["continuous", "vertex", "sparse"]
)
@pytest.mark.parametrize("program", [ExactProgram(), RelaxedProgram(), SplittingProgram(steps=2)], ids=repr)
def test_a_compiled_quantizer_on_its_way_to_hard_codes(program, code):
    torch.manual_seed(0)
    usage = 0.0 if isinstance(program, RelaxedProgram) else 0.1
    quantizer = SoftConvexQuantizer(100, 6, program=program, code=code, usage_weight=usage)
    quantizer.anneal_to(0.4 if code else 0.0)
    z, g = torch.randn(30, 6, requires_grad=True), torch.randn(30, 6)
    torch._dynamo.reset()
    compiled = torch.compile(quantizer, fullgraph=True, backend="aot_eager")
    gradients = []
    for layer in (compiled, quantizer):
        result = layer(z)
        ((result.quantized * g).sum() + result.loss).backward()
        gradients.append([result.quantized, result.loss, z.grad, quantizer.codebook.vectors.grad])
        gradients[-1] += [result.weights.total(), result.weights.dense()]
        z.grad = None
        quantizer.zero_grad()
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=2e-4)


def test_a_compiled_projection():
    v = torch.randn(20, 100, requires_grad=True)
    torch._dynamo.reset()
    compiled = torch.compile(project_simplex, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(v), project_simplex(v))
