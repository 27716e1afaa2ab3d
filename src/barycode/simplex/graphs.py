"""The programs of Soft Convex Quantization for `torch.compile`: graphs whose shapes no data decides.

Which weights are positive depends on the data, and so do lists of them. A graph holds all N x K weights
instead: the relaxation as plain tensor algebra, the exact program as an operator that the graph calls.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.simplex.convex_program import solve_convex_program
from barycode.simplex.exact import derivative
from barycode.simplex.nearest import nearest
from barycode.simplex.projection import project_simplex


def relax_in_graph(
    z: Float[Tensor, "n d"],
    codebook: Float[Tensor, "k d"],
    regularization: float,
    vertex: Int64[Tensor, " n"],
) -> Float[Tensor, "n k"]:
    """The weights of `relaxation.relax`, dense; differentiable."""
    system = codebook.T @ codebook
    system = system + regularization * torch.eye(len(system), dtype=z.dtype, device=z.device)
    directions = torch.linalg.solve(system, (z - codebook.index_select(0, vertex)).T).T
    scores = directions @ codebook.T
    return project_simplex(scores.scatter_add(1, vertex[:, None], torch.ones_like(scores[:, :1])))


def solve_in_graph(
    z: Float[Tensor, "n d"],
    codebook: Float[Tensor, "k d"],
    regularization: float,
    *,
    tolerance: float,
    max_iterations: int,
) -> Float[Tensor, "n k"]:
    """The weights of `solve_convex_program`, dense; differentiable once in z and the codebook."""
    weights: Tensor = _solve(z, codebook, regularization, tolerance, max_iterations)
    return weights


@torch.library.custom_op(
    "barycode::solve_convex_program",
    mutates_args=(),
    schema="(Tensor z, Tensor codebook, float regularization, float tolerance, int max_iterations) -> Tensor",
)
def _solve(
    z: Tensor, codebook: Tensor, regularization: float, tolerance: float, max_iterations: int
) -> Tensor:
    found = solve_convex_program(
        z, codebook, regularization, tolerance=tolerance, max_iterations=max_iterations
    )
    return found.weights


@_solve.register_fake
def _(z: Tensor, codebook: Tensor, regularization: float, tolerance: float, max_iterations: int) -> Tensor:
    return z.new_empty(z.shape[0], codebook.shape[0])


@torch.library.custom_op(
    "barycode::differentiate_convex_program",
    mutates_args=(),
    schema="(Tensor z, Tensor codebook, float regularization, Tensor weights, Tensor gradient) "
    "-> (Tensor, Tensor)",
)
def _differentiate(
    z: Tensor, codebook: Tensor, regularization: float, weights: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    width = int((weights > 0).sum(1).amax()) if len(weights) else 1
    values, indices = weights.topk(width)
    scale = torch.tensor(regularization, dtype=torch.float64, device=z.device)
    pull = gradient.gather(1, indices)
    to_z, to_codebook, _ = derivative(z, codebook, scale, values, indices, nearest(z, codebook), pull)
    return to_z, to_codebook


@_differentiate.register_fake
def _(
    z: Tensor, codebook: Tensor, regularization: float, weights: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(z), torch.empty_like(codebook)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    z, codebook, ctx.regularization, *_ = inputs
    ctx.save_for_backward(z, codebook, output)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    z, codebook, weights = ctx.saved_tensors
    return *_differentiate(z, codebook, ctx.regularization, weights, gradient), None, None, None


_solve.register_autograd(_backward, setup_context=_remember)
