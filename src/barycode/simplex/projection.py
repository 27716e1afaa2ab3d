"""Euclidean projection onto the probability simplex, with its derivative."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.errors import InvalidInputError

SELECTED = 32  # how many of the largest entries are looked at before a row is sorted whole
WORTHWHILE = 64  # columns from which selection beats the full sort


def project_simplex(v: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch k"]:
    """argmin_p ||p - v||^2 over p >= 0, sum(p) = 1, for every row of v.

    The solution is max(v - t, 0) with the one threshold t that makes it sum to 1 (Held, Wolfe, Crowder
    1974; Duchi et al. 2008). Differentiable: on the support s of p the Jacobian is diag(s) - s s^T / |s|.
    Entries of -inf get weight 0; raises InvalidInputError for NaN, +inf, and rows that are empty or -inf
    throughout.
    """
    if v.ndim == 0 or v.shape[-1] == 0 or not v.is_floating_point():
        raise InvalidInputError(
            f"The simplex needs rows of at least one floating-point number, not {v.dtype} {tuple(v.shape)}."
        )
    projected: Tensor = _Projection.apply(v)
    return projected


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        p = _project(v.detach())
        ctx.save_for_backward(p > 0)
        return p

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (support,) = ctx.saved_tensors
        inside = gradients[0] * support
        return inside - support * (inside.sum(-1, keepdim=True) / support.sum(-1, keepdim=True))


def _project(v: Tensor) -> Tensor:
    if v.numel() == 0:
        return v.clone()
    top = v.amax(-1, keepdim=True)
    if not torch.compiler.is_compiling() and not bool(top.isfinite().all()):
        raise InvalidInputError(
            "A row for the simplex holds NaN or +inf, or nothing but -inf: expected finite numbers."
        )
    # The projection does not change when a row is shifted; shifted, only entries above -1 count, at any
    # scale.
    shifted = v - top
    return (shifted - _threshold(shifted.reshape(-1, v.shape[-1])).view(top.shape)).clamp_(min=0)


def _threshold(rows: Tensor) -> Tensor:
    """The threshold (n, 1) of rows (n, k) whose largest entry is 0."""
    if rows.shape[1] < WORTHWHILE or torch.compiler.is_compiling():  # a graph does the same for all data
        return threshold_of_sorted(rows.sort(-1, descending=True).values)
    selected = rows.topk(SELECTED, -1).values
    threshold = threshold_of_sorted(selected)
    # Entries that were not selected are at most the smallest selected one: they matter only if that one does.
    uncertain = (selected[:, -1:] > threshold).squeeze(1).nonzero().squeeze(1)
    if len(uncertain):
        threshold[uncertain] = threshold_of_sorted(rows[uncertain].sort(-1, descending=True).values)
    return threshold


def threshold_of_sorted(rows: Tensor) -> Tensor:
    """The threshold of rows in falling order: the mean excess of the largest prefix that stays above it."""
    count = torch.arange(1, rows.shape[1] + 1, device=rows.device, dtype=rows.dtype)
    means = (rows.clamp(min=-1).cumsum(-1) - 1) / count
    support = (rows > means).sum(-1, keepdim=True).clamp(min=1)
    return means.gather(-1, support - 1)
