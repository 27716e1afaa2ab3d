"""How the gradient passes a hard decision: forward the code vector exactly, backward by a rule of choice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.errors import InvalidInputError

Estimator = Callable[[Tensor, Tensor], Tensor]


def checked_estimator(estimator: Estimator) -> Estimator:
    """The estimator itself; InvalidInputError if it is no function."""
    if not callable(estimator):
        raise InvalidInputError(
            f"An estimator is a function (z, quantized), such as rotation_trick, not {estimator!r}."
        )
    return estimator


def straight_through(
    z: Float[Tensor, "*batch d"], quantized: Float[Tensor, "*batch d"]
) -> Float[Tensor, "*batch d"]:
    """The value of `quantized`, bit for bit, with the gradient of z: dq/dz = I (Bengio et al. 2013)."""
    return quantized.detach() + (z - z.detach())


def rotation_trick(
    z: Float[Tensor, "*batch d"], quantized: Float[Tensor, "*batch d"]
) -> Float[Tensor, "*batch d"]:
    """The value of `quantized`, bit for bit, with dq/dz = (|q| / |z|) R (Fifty et al. 2024).

    R = I - 2 r r^T + 2 q' z'^T rotates z' = z/|z| to q' = q/|q|, with r = (z' + q') / |z' + q'|;
    gradients keep their angle to the code vector. Where z or q is zero, or they are opposite, R is undefined
    and the gradient goes straight through.
    """
    with torch.no_grad():
        z_norm, q_norm = (x.norm(dim=-1, keepdim=True) for x in (z, quantized))
        tiny = torch.finfo(z.dtype).tiny
        z_unit, q_unit = z / z_norm.clamp_min(tiny), quantized / q_norm.clamp_min(tiny)
        middle = z_unit + q_unit
        length = middle.norm(dim=-1, keepdim=True)
        undefined = (length < 1e-3) | (z_norm == 0) | (q_norm == 0)
        middle = middle / length.clamp_min(tiny)
        scale = q_norm / z_norm.clamp_min(tiny)
    delta = z - z.detach()
    reflected = 2 * middle * (middle * delta).sum(-1, keepdim=True)
    rotated = delta - reflected + 2 * q_unit * (z_unit * delta).sum(-1, keepdim=True)
    return quantized.detach() + torch.where(undefined, delta, scale * rotated)
