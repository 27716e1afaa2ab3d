"""Soft assignment of scalars to sorted centers, in a few passes over the weights.

A weight w whose nearest center is c_k is assigned to c_{k-1}, c_k, c_{k+1} by

    phi_j = softmax_j(-sigma (w - c_j)^2),    j = k-1, k, k+1,

the softmax over all centers but for terms that are exponentially small where sigma times the squared spacing is
2 or more. The cost does not depend on the number of centers.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

_SIDES = (-1, 0, 1)


def nearest_rank(
    weights: Float[Tensor, "*shape"], centers: Float[Tensor, " k"]
) -> Int64[Tensor, "*shape"]:
    """argmin_j |w - c_j| for sorted centers; the lower of two at the same distance."""
    return torch.bucketize(weights, (centers[1:] + centers[:-1]) / 2)


def soft_scalar(
    weights: Float[Tensor, "*shape"], centers: Float[Tensor, " k"], sigma: Float[Tensor, ""]
) -> Float[Tensor, "*shape"]:
    """sum_j phi_j c_j for each weight; differentiable once in all three arguments."""
    soft: Tensor = _SoftScalar.apply(weights.reshape(-1), centers, sigma)
    return soft.reshape(weights.shape)


def soft_counts(
    weights: Float[Tensor, "*shape"], centers: Float[Tensor, " k"], sigma: Float[Tensor, ""]
) -> Float[Tensor, " k"]:
    """sum over the weights of phi_j: how many weights each center has; differentiable once in all arguments."""
    counts: Tensor = _SoftCounts.apply(weights.reshape(-1), centers, sigma)
    return counts


class _SoftScalar(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, centers: Tensor, sigma: Tensor) -> Tensor:
        near = _Neighbours(weights, centers, sigma)
        ctx.save_for_backward(weights, centers, sigma)
        return sum(phi * c for phi, c in zip(near.phi, near.centers, strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        near = _Neighbours(*ctx.saved_tensors)
        direct = near.collect([phi * gradient for phi in near.phi])
        weights, centers, sigma = near.backward([gradient * c for c in near.centers])
        return weights, centers + direct, sigma


class _SoftCounts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, centers: Tensor, sigma: Tensor) -> Tensor:
        near = _Neighbours(weights, centers, sigma)
        ctx.save_for_backward(weights, centers, sigma)
        return near.collect(near.phi)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        near = _Neighbours(*ctx.saved_tensors)
        return near.backward([gradient[rank] for rank in near.ranks])


class _Neighbours:
    """The centers below, at and above each weight, and the weight's shares phi in them.

    Beyond either end of the centers the share is zero.
    """

    def __init__(self, weights: Tensor, centers: Tensor, sigma: Tensor) -> None:
        middle, last = nearest_rank(weights, centers), len(centers) - 1
        self.weights, self.count, self.sigma = weights, len(centers), sigma
        self.ranks = [(middle + side).clamp(0, last) for side in _SIDES]
        self.centers = [centers[rank] for rank in self.ranks]
        nearest = (weights - self.centers[1]).square()
        shares = [
            torch.exp(sigma * (nearest - (weights - self.centers[0]).square())) * (middle > 0),
            torch.ones_like(weights),
            torch.exp(sigma * (nearest - (weights - self.centers[2]).square())) * (middle < last),
        ]
        total = shares[0] + shares[1] + shares[2]
        self.phi = [share / total for share in shares]

    def collect(self, values: list[Tensor]) -> Tensor:
        """Add (below, at, above) of each weight up, center by center: (K,)."""
        return torch.stack(
            [torch.bincount(r, v, self.count) for r, v in zip(self.ranks, values, strict=True)]
        ).sum(0).to(self.weights.dtype)

    def backward(self, grad_phi: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """From dphi to (weights, centers, sigma): dl = phi (dphi - <phi, dphi>) for l = -sigma (w - c)^2."""
        mean = sum(phi * grad for phi, grad in zip(self.phi, grad_phi, strict=True))
        logits = [phi * (grad - mean) for phi, grad in zip(self.phi, grad_phi, strict=True)]
        offsets = [self.weights - center for center in self.centers]
        slopes = [2 * self.sigma * g * offset for g, offset in zip(logits, offsets, strict=True)]
        sigma = -sum((g * offset.square()).sum() for g, offset in zip(logits, offsets, strict=True))
        return -(slopes[0] + slopes[1] + slopes[2]), self.collect(slopes), torch.as_tensor(sigma)
