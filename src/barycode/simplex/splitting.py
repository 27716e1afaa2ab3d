"""A fixed number of splitting steps towards the optimum of Soft Convex Quantization, and their derivative.

With a = lambda + rho, A = C - m around the mean m of C, c the nearest code vector,
W = (A^T A + a I)^-1 A^T and

    h = (z - m - (lambda / a) (c - m)) W + (lambda / a) p~,

Douglas-Rachford splitting (ADMM; Eckstein and Bertsekas 1992) of the program into its quadratic and the
simplex goes from x = h + rho / (a K), the proximal point of the quadratic from the middle of the simplex, by

    q = proj(x),   s = 2 q - x,   x <- x + r (h + (rho / a) (s - s A W) - q),

and ends at p = proj(x). It converges to the optimum for any rho > 0. Where it starts, and a rho as large as
the square of a code vector, make the first steps good ones: p C is near z at once, with weights on more code
vectors than at the optimum, and what later steps mend is the pull lambda |p - p~|^2.

Every step is two products with K x d matrices and a projection; the derivative goes through them as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.simplex.nearest import block_rows
from barycode.simplex.projection import project_simplex

RELAXATION = 1.6
BLOCK = 2**17  # weights of a block of rows: they stay in the cache
NEWTON_STEPS = 30  # of a projection, which needs about five and ends by itself


def split(
    z: Float[Tensor, "n d"],
    codebook: Float[Tensor, "k d"],
    regularization: float,
    vertex: Int64[Tensor, " n"],
    *,
    steps: int,
    penalty: float = 1.0,
) -> tuple[Float[Tensor, "n d"], list[Float[Tensor, "_ k"]]]:
    """p C, and p in blocks of vectors, after some `steps`, from 0 on; `vertex` are the nearest code vectors.

    `penalty` is rho over the mean square of code vectors around their mean. Differentiable in z and the
    codebook, any number of times, with rho held; memory is N x K for each step.
    """
    origin = codebook.mean(0)
    codes = codebook - origin
    rho = penalty * codes.detach().square().sum(1).mean()
    total = regularization + rho
    keep, stay = rho / total, regularization / total
    system = codes.T @ codes + total * torch.eye(codes.shape[1], dtype=codes.dtype, device=codes.device)
    pulled = torch.linalg.solve(system, codes.T)
    pushed = -2 * keep * pulled
    rows = block_rows(len(codes), BLOCK)
    combined, weights = [], []
    for block, chosen in zip((z - origin).split(rows), vertex.split(rows), strict=True):
        held = (block - stay * codes.index_select(0, chosen)) @ pulled
        held = held.scatter_add(1, chosen[:, None], stay.expand_as(held[:, :1]))
        x = held  # all entries moved by the same number leave a projection where it is
        for _ in range(steps):
            q = _project(x)
            s = torch.sub(q, x, alpha=0.5)  # half of it
            moved = torch.addmm(held - q, s @ codes, pushed)
            x = torch.add(x, torch.addcmul(moved, s, 2 * keep), alpha=RELAXATION)
        p = _project(x)
        combined.append(p @ codes)
        weights.append(p)
    return torch.cat(combined) + origin, weights


def _project(v: Tensor) -> Tensor:
    if torch.compiler.is_compiling():  # a graph cannot end a loop by its data
        return project_simplex(v)
    projected: Tensor = _Projection.apply(v)
    return projected


class _Projection(torch.autograd.Function):
    """Onto the simplex, of rows of which a good part stays positive: Newton's method from below.

    Rows are shifted so that their largest entry is 0: the projection stays, and rounding is that of the
    entries that matter, however far away a vector is.
    """

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        v = v - v.amax(-1, keepdim=True)
        threshold = ((v.sum(-1, keepdim=True) - 1) / v.shape[-1]).clamp_(min=-1)
        p, spare = torch.empty_like(v), torch.empty_like(v)
        precision = 16 * torch.finfo(v.dtype).eps
        for _ in range(NEWTON_STEPS):
            torch.sub(v, threshold, out=p).clamp_(min=0)
            excess = p.sum(-1, keepdim=True) - 1
            raised = threshold + excess / torch.sign(p, out=spare).sum(-1, keepdim=True)
            if bool(((excess <= precision) | (raised <= threshold)).all()):
                break
            threshold = raised
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        inside = ctx.saved_tensors[0].sign()
        gradient = gradients[0] * inside
        return gradient - inside * (gradient.sum(-1, keepdim=True) / inside.sum(-1, keepdim=True))
