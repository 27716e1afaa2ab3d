"""The program of Soft Convex Quantization as a function with a derivative of its own."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from barycode.simplex import compiled
from barycode.simplex.active_set import Optimum, Program
from barycode.simplex.centered_codebook import CenteredCodebook
from barycode.simplex.first_order import first_order
from barycode.simplex.nearest import nearest
from barycode.simplex.parallel import map_blocks
from barycode.simplex.sparse import row_blocks, scatter, weighted_sum
from barycode.simplex.warm_start import WarmStart

ACCURACY = 1e-9  # of a gradient, relative


class Solved(NamedTuple):
    """Weights (N, s) with their indices; residual and iterations (N,)."""

    values: Tensor
    indices: Tensor
    residual: Tensor
    iterations: Tensor


def exact_weights(
    z: Tensor, codebook: Tensor, regularization: Tensor, tolerance: float, max_iterations: int
) -> Solved:
    """Algorithm 1: weights at the optimum, differentiated through its optimality conditions."""
    return Solved(*_Exact.apply(z, codebook, regularization, tolerance, max_iterations))


def certificate(
    z: Tensor, codebook: Tensor, regularization: Tensor, values: Tensor, indices: Tensor
) -> Tensor:
    """The residual (N,) of sparse weights."""
    codes = CenteredCodebook.of(codebook)
    program = Program(codes, codes.relative(float(regularization.detach())), 0.0, 0)
    vertex = nearest(z, codebook)
    known = (codes.place(z.detach()), vertex, values.detach(), indices)
    blocks = [program.certify(*(part[rows] for part in known)) for rows in row_blocks(len(z), len(codebook))]
    return torch.cat([z.new_zeros(0), *blocks]).to(z.dtype)


def derivative(
    z: Tensor,
    codebook: Tensor,
    regularization: Tensor,
    values: Tensor,
    indices: Tensor,
    vertices: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of z, C and lambda, from that of the values.

    With q = the solution on the support S of (C_S C_S^T + lambda I) q = g - nu 1, sum(q) = 0, for a
    gradient g of the weights, and u = z - p C, they are C_S^T q, q u^T - p (C_S^T q)^T and q . (p~ - p).
    """
    codes = CenteredCodebook.of(codebook)
    relative = codes.relative(float(regularization))
    origin = codebook.mean(0)
    centered = codebook - origin
    solve = partial(compiled.solve_systems, codes) if compiled.applies(codes) else codes.solve

    def differentiate(rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        p, chosen, pull = values[rows], indices[rows], gradient[rows]
        there = torch.where(p > 0, chosen, codes.size)
        q = solve(there, relative, pull.double(), 0.0, ACCURACY) / codes.radius / codes.radius
        at_vertex = chosen == vertices[rows, None]
        to_regularization = (q * (at_vertex.to(q.dtype) - p)).sum().to(regularization.dtype)
        q = q.to(z.dtype)
        to_z = weighted_sum(q, chosen, centered)
        error = (z[rows] - origin) - weighted_sum(p, chosen, centered)
        to_codebook = scatter(q, chosen, len(codebook)).T @ error
        to_codebook.addmm_(scatter(p, chosen, len(codebook)).T, to_z, alpha=-1)
        return to_z, to_codebook, to_regularization

    blocks = map_blocks(differentiate, list(row_blocks(len(z), len(codebook))), z.device)
    parts = [torch.zeros_like(z[:0]), torch.zeros_like(codebook), torch.zeros_like(regularization)]
    to_z, to_codebook, to_regularization = zip(parts, *blocks, strict=True)
    return torch.cat(to_z), sum(to_codebook), sum(to_regularization)


class _Exact(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, codebook: Tensor, regularization: Tensor, tolerance: float, max_iterations: int
    ) -> tuple[Tensor, ...]:
        codes = CenteredCodebook.of(codebook)
        relative = codes.relative(float(regularization))
        optimum = _solver(Program(codes, relative, tolerance, max_iterations))
        vertices = nearest(z, codebook)

        def solve(rows: slice) -> Optimum:
            return optimum(codes.place(z[rows]), vertices[rows])

        blocks = map_blocks(solve, list(row_blocks(len(z), len(codebook))), z.device)
        values, indices = _stacked([(found.weights, found.indices) for found in blocks], z)
        residual = torch.cat([z.new_zeros(0), *(found.residual.to(z.dtype) for found in blocks)])
        iterations = torch.cat([indices.new_zeros(0), *(found.iterations for found in blocks)])
        ctx.save_for_backward(z, codebook, regularization, values, indices, vertices)
        ctx.mark_non_differentiable(indices, residual, iterations)
        return values, indices, residual, iterations

    @staticmethod
    @first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        solved: tuple[Tensor, ...] = ctx.saved_tensors
        return *derivative(*(*solved, gradients[0])), None, None


def _solver(program: Program) -> Callable[[Tensor, Tensor], Optimum]:
    """The optimum of placed z (n, d) and vertices (n,)."""
    codes = program.codes
    warm_start = WarmStart.of(codes.vectors[: codes.size], program.regularization)
    if not compiled.applies(codes):
        return lambda z, vertex: program.solve(z, vertex, *warm_start.start(z, vertex))
    if warm_start.splitting is None:
        return partial(compiled.solve, program)
    return lambda z, vertex: compiled.solve(program, z, vertex, warm_start.start(z, vertex))


def _stacked(blocks: list[tuple[Tensor, Tensor]], z: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and indices of blocks of rows, one after the other, padded to the widest; dtype of z."""
    width = max((values.shape[1] for values, _ in blocks), default=1)
    widths = [(0, width - values.shape[1]) for values, _ in blocks]
    values = [pad(block[0].to(z.dtype), width) for block, width in zip(blocks, widths, strict=True)]
    indices = [pad(block[1], width) for block, width in zip(blocks, widths, strict=True)]
    none = torch.zeros(0, width, dtype=torch.int64, device=z.device)
    return torch.cat([z.new_zeros(0, width), *values]), torch.cat([none, *indices])
