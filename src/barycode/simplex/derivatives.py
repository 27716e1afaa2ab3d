"""The two algorithms of Soft Convex Quantization as functions with a derivative of their own."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from barycode.simplex.active_set import Codes, Optimum, Program
from barycode.simplex.sparse import project_sparse, row_blocks, scatter, weighted_sum


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


def relaxed_weights(z: Tensor, codebook: Tensor, regularization: Tensor) -> tuple[Tensor, Tensor]:
    """Algorithm 2: the projection of the unconstrained minimiser, differentiated by the chain rule, as
    weights (N, s) and their indices.
    """
    values, indices = _Relaxed.apply(z, codebook, regularization)
    return values, indices


def certificate(
    z: Tensor, codebook: Tensor, regularization: Tensor, values: Tensor, indices: Tensor
) -> Tensor:
    """The residual (N,) of sparse weights."""
    program = Program(Codes.of(codebook), float(regularization.detach()), 0.0, 0)
    relaxation = _Relaxation.of(codebook.detach(), regularization.detach())
    blocks = [z.new_zeros(0)]
    for rows in row_blocks(len(z), len(codebook)):
        vertex = relaxation.errors(z[rows].detach())[1]
        blocks.append(program.certify(z[rows].detach(), vertex, values[rows].detach(), indices[rows]))
    return torch.cat(blocks).to(z.dtype)


class _Relaxed(torch.autograd.Function):
    """p = proj(p~ + C y) with y = A^-1 (z - p~ C) and A = C^T C + lambda I.

    The K x K system (C C^T + lambda I) p = C z + lambda p~ of the paper has the same solution p~ + C y.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, codebook: Tensor, regularization: Tensor) -> tuple[Tensor, ...]:
        relaxation = _Relaxation.of(codebook, regularization)
        blocks = [relaxation.weights(z[rows]) for rows in row_blocks(len(z), len(codebook))]
        values, indices = _stacked([block[:2] for block in blocks], z)
        vertices = torch.cat([indices.new_zeros(0), *(block[2] for block in blocks)])
        ctx.save_for_backward(z, codebook, regularization, values, indices, vertices)
        ctx.mark_non_differentiable(indices)
        return values, indices

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        z, codebook, regularization, values, indices, vertices = ctx.saved_tensors
        relaxation = _Relaxation.of(codebook, regularization)
        to_z, to_codebook = torch.empty_like(z), torch.zeros_like(codebook)
        to_system = codebook.new_zeros(codebook.shape[1], codebook.shape[1])
        for rows in row_blocks(len(z), len(codebook)):
            inside = values[rows] > 0
            pull = gradients[0][rows] * inside
            pull = pull - inside * (pull.sum(-1, keepdim=True) / inside.sum(-1, keepdim=True))
            vertex = vertices[rows]
            to_y = weighted_sum(pull, indices[rows], codebook)
            to_z[rows] = to_y @ relaxation.inverse
            y = (z[rows] - codebook[vertex]) @ relaxation.inverse
            spread = scatter(pull, indices[rows], len(codebook))
            to_codebook.addmm_(spread.T, y).index_add_(0, vertex, to_z[rows], alpha=-1)
            to_system.addmm_(to_z[rows].T, y, alpha=-1)
        to_codebook.addmm_(codebook, to_system + to_system.T)
        return to_z, to_codebook, to_system.trace().to(regularization.dtype)


class _Relaxation(NamedTuple):
    codebook: Tensor
    half_norms: Tensor
    inverse: Tensor  # (C^T C + lambda I)^-1, (d, d)

    @classmethod
    def of(cls, codebook: Tensor, regularization: Tensor) -> "_Relaxation":
        precise = codebook.double()
        system = precise.T @ precise
        system.diagonal().add_(regularization)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(system))
        return cls(codebook, codebook.square().sum(-1) / 2, inverse.to(codebook.dtype))

    def errors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z - p~ C (n, d) and the nearest vertices (n,)."""
        vertex = torch.addmm(self.half_norms, z, self.codebook.T, alpha=-1).argmin(-1)
        return z - self.codebook[vertex], vertex

    def weights(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sparse weights and indices (n, s), vertices (n,)."""
        error, vertex = self.errors(z)
        scores = (error @ self.inverse) @ self.codebook.T
        scores.scatter_add_(1, vertex[:, None], torch.ones_like(scores[:, :1]))
        return *project_sparse(scores)[:2], vertex


class _Exact(torch.autograd.Function):
    """With q = the solution on the support S of (C_S C_S^T + lambda I) q = g - nu 1, sum(q) = 0, for a
    gradient g of the weights, and u = z - p C, the gradients of z, C_S and lambda are C_S^T q,
    q u^T - p (C_S^T q)^T and q . (p~ - p).
    """

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, codebook: Tensor, regularization: Tensor, tolerance: float, max_iterations: int
    ) -> tuple[Tensor, ...]:
        relaxation = _Relaxation.of(codebook, regularization)
        program = Program(Codes.of(codebook), float(regularization), tolerance, max_iterations)
        blocks: list[Optimum] = []
        nearest: list[Tensor] = []
        for rows in row_blocks(len(z), len(codebook)):
            values, indices, vertex = relaxation.weights(z[rows])
            found = program.solve(z[rows], vertex, values, indices)
            blocks.append(found)
            nearest.append(vertex)
        values, indices = _stacked([(found.weights, found.indices) for found in blocks], z)
        residual = torch.cat([z.new_zeros(0), *(found.residual.to(z.dtype) for found in blocks)])
        iterations = torch.cat([indices.new_zeros(0), *(found.iterations for found in blocks)])
        vertices = torch.cat([indices.new_zeros(0), *nearest])
        ctx.save_for_backward(z, codebook, regularization, values, indices, vertices)
        ctx.mark_non_differentiable(indices, residual, iterations)
        return values, indices, residual, iterations

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        z, codebook, regularization, values, indices, vertices = ctx.saved_tensors
        codes = Codes.of(codebook)
        to_z, to_codebook = torch.empty_like(z), torch.zeros_like(codebook)
        to_regularization = torch.zeros_like(regularization)
        for rows in row_blocks(len(z), len(codebook)):
            p, chosen, pull = values[rows], indices[rows], gradients[0][rows]
            there = torch.where(p > 0, chosen, codes.size)
            q = codes.solve(there, float(regularization), pull.double(), 0.0)
            at_vertex = chosen == vertices[rows, None]
            to_regularization += (q * (at_vertex.to(q.dtype) - p)).sum()
            q = q.to(z.dtype)
            to_z[rows] = weighted_sum(q, chosen, codebook)
            error = z[rows] - weighted_sum(p, chosen, codebook)
            to_codebook.addmm_(scatter(q, chosen, len(codebook)).T, error)
            to_codebook.addmm_(scatter(p, chosen, len(codebook)).T, to_z[rows], alpha=-1)
        return to_z, to_codebook, to_regularization, None, None


def _stacked(blocks: list[tuple[Tensor, Tensor]], z: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and indices of blocks of rows, one after the other, padded to the widest; dtype of z."""
    width = max((values.shape[1] for values, _ in blocks), default=1)
    widths = [(0, width - values.shape[1]) for values, _ in blocks]
    values = [pad(block[0].to(z.dtype), width) for block, width in zip(blocks, widths, strict=True)]
    indices = [pad(block[1], width) for block, width in zip(blocks, widths, strict=True)]
    none = torch.zeros(0, width, dtype=torch.int64, device=z.device)
    return torch.cat([z.new_zeros(0, width), *values]), torch.cat([none, *indices])
