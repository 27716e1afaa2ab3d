"""Backward passes that have no derivative of their own: a second one is refused, never wrong in silence."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

from barycode.errors import SecondDerivativeError

Gradients = TypeVar("Gradients", Tensor, "tuple[Tensor | None, ...]")


def first_order(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """For the `backward` of an autograd function: what it returns raises where it is differentiated again.

    `torch.autograd.function.once_differentiable` does so only where the arriving gradient needs a gradient
    itself. In a penalty on `autograd.grad(f(z).sum(), z, create_graph=True)` it does not, and the penalty
    would lack this function's part.
    """

    @wraps(backward)
    def guarded(ctx: Any, *gradients: Tensor) -> Gradients:
        with torch.no_grad():
            found = backward(ctx, *gradients)
        if not torch.is_grad_enabled():
            return found
        if isinstance(found, tuple):
            return tuple(None if each is None else _refusing(each) for each in found)
        return _refusing(found)

    return guarded


def _refusing(gradient: Tensor) -> Tensor:
    guarded: Tensor = _Refusal.apply(gradient.detach().requires_grad_())
    return guarded


class _Refusal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        raise SecondDerivativeError(
            "A second derivative was asked of a function that has only a first one (a convex program, a "
            "soft assignment): a gradient penalty must not reach through the quantizer. Take the penalty "
            "of what comes after it, or detach."
        )
