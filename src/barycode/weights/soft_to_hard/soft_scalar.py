"""Soft assignment of scalars to sorted centers, in a few passes over the weights.

A weight w whose nearest center is c_k is shared among c_{k-1}, c_k and c_{k+1}:

    phi_j = softmax_j(-sigma (w - c_j)^2),    j = k-1, k, k+1,

the softmax over all centers but for terms that are exponentially small where sigma times the squared spacing
is 2 or more. The cost does not depend on the number of centers. In terms of d = w - c_k, the gap a down to
c_{k-1} and the gap b up to c_{k+1}:

    phi_{k-1} / phi_k = exp(-sigma a (2 d + a)),    phi_{k+1} / phi_k = exp(sigma b (2 d - b)).
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable


def nearest_rank(weights: Float[Tensor, "*shape"], centers: Float[Tensor, " k"]) -> Int64[Tensor, "*shape"]:
    """argmin_j |w - c_j| for sorted centers; the lower of two at the same distance."""
    return torch.bucketize(weights.contiguous(), (centers[1:] + centers[:-1]) / 2)


def soft_scalar(
    weights: Float[Tensor, "*shape"],
    ranks: Int64[Tensor, "*shape"],
    centers: Float[Tensor, " k"],
    sigma: Float[Tensor, ""],
) -> Float[Tensor, "*shape"]:
    """sum_j phi_j c_j for each weight, whose nearest center `ranks` tells.

    Differentiable once in weights, centers and sigma.
    """
    soft: Tensor = _SoftScalar.apply(weights, ranks, centers, sigma)
    return soft


def soft_counts(
    weights: Float[Tensor, "*shape"],
    ranks: Int64[Tensor, "*shape"],
    centers: Float[Tensor, " k"],
    sigma: Float[Tensor, ""],
) -> Float[Tensor, " k"]:
    """sum over the weights of phi_j: how many weights each center has. Differentiable as `soft_scalar` is."""
    counts: Tensor = _SoftCounts.apply(weights, ranks, centers, sigma)
    return counts


class _SoftScalar(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, ranks: Tensor, centers: Tensor, sigma: Tensor) -> Tensor:
        near = _Neighbours(weights, ranks, centers, sigma)
        ctx.save_for_backward(ranks, centers, sigma, near.offset, near.lower, near.upper)
        soft = near.at(centers) + near.upper * near.at(near.up) - near.lower * near.at(near.down)
        return soft.view_as(weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None, Tensor | None]:
        near = _Neighbours.restored(*ctx.saved_tensors)
        flat = gradient.reshape(-1)
        weights, centers, sigma = near.backward(
            -flat * near.at(near.down), flat * near.at(near.up), ctx.needs_input_grad
        )
        if centers is not None:
            centers += near.collect(
                near.lower * flat, (1 - near.lower - near.upper) * flat, near.upper * flat
            )
        return weights.view_as(gradient), None, centers, sigma


class _SoftCounts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, ranks: Tensor, centers: Tensor, sigma: Tensor) -> Tensor:
        near = _Neighbours(weights, ranks, centers, sigma)
        ctx.save_for_backward(ranks, centers, sigma, near.offset, near.lower, near.upper)
        ctx.shape = weights.shape
        return near.collect(near.lower, 1 - near.lower - near.upper, near.upper)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None, Tensor | None]:
        near = _Neighbours.restored(*ctx.saved_tensors)
        rise = gradient.diff()
        nothing = gradient.new_zeros(1)
        weights, centers, sigma = near.backward(
            near.at(torch.cat([nothing, -rise])), near.at(torch.cat([rise, nothing])), ctx.needs_input_grad
        )
        return weights.view(ctx.shape), None, centers, sigma


class _Neighbours:
    """Flat weights by their nearest center (`ranks`), their offset from it, and their shares beside it.

    `down` and `up` (K,) are the gaps to the neighbours of each center, zero beyond the ends, where
    `lower` and `upper`, the shares phi_{k-1} and phi_{k+1}, are zero too.
    """

    offset: Tensor
    lower: Tensor
    upper: Tensor

    def __init__(self, weights: Tensor, ranks: Tensor, centers: Tensor, sigma: Tensor) -> None:
        self._place(ranks, centers, sigma)
        self.offset = weights.reshape(-1) - self.at(centers)
        down, up = self.at(self.down), self.at(self.up)
        lower = (-sigma * down * (2 * self.offset + down)).exp_().mul_(down != 0)
        upper = (sigma * up * (2 * self.offset - up)).exp_().mul_(up != 0)
        total = (lower + upper).add_(1)
        self.lower, self.upper = lower.div_(total), upper.div_(total)

    @classmethod
    def restored(
        cls, ranks: Tensor, centers: Tensor, sigma: Tensor, offset: Tensor, lower: Tensor, upper: Tensor
    ) -> "_Neighbours":
        near = cls.__new__(cls)
        near._place(ranks, centers, sigma)
        near.offset, near.lower, near.upper = offset, lower, upper
        return near

    def _place(self, ranks: Tensor, centers: Tensor, sigma: Tensor) -> None:
        gaps, nothing = centers.diff(), centers.new_zeros(1)
        self.ranks, self.sigma = ranks.reshape(-1), sigma
        self.down, self.up = torch.cat([nothing, gaps]), torch.cat([gaps, nothing])

    def at(self, table: Tensor) -> Tensor:
        """The entry of a table (K,) for the center of each weight."""
        return table.index_select(0, self.ranks)

    def collect(self, lower: Tensor, middle: Tensor, upper: Tensor) -> Tensor:
        """Add up, center by center, what each weight gives to the one below, its own, and the one above."""
        sums = self.down.new_zeros(3, len(self.down))
        for row, values in zip(sums, (lower, middle, upper), strict=True):
            row.scatter_add_(0, self.ranks, values)
        result = sums[1]
        result[:-1] += sums[0, 1:]
        result[1:] += sums[2, :-1]
        return result

    def backward(
        self, lower: Tensor, upper: Tensor, needed: tuple[bool, ...]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """(weights, centers, sigma) from dphi_{k-1} - dphi_k and dphi_{k+1} - dphi_k.

        With logits l = -sigma (w - c)^2:  dl = phi (dphi - <phi, dphi>).
        """
        mean = self.lower * lower + self.upper * upper
        below, above = self.lower * (lower - mean), self.upper * (upper - mean)
        down, up = self.at(self.down), self.at(self.up)
        weights = (up * above - down * below).mul_(2 * self.sigma)
        return (
            weights,
            self._toward_centers(below, above, down, up) if needed[2] else None,
            self._toward_sigma(below, above, down, up) if needed[3] else None,
        )

    def _toward_centers(self, below: Tensor, above: Tensor, down: Tensor, up: Tensor) -> Tensor:
        """dc_j = sum over weights of 2 sigma dl_j (w - c_j), the center held fixed where it is a value."""
        scale = 2 * self.sigma
        return self.collect(
            scale * below * (self.offset + down),
            -scale * (below + above) * self.offset,
            scale * above * (self.offset - up),
        )

    def _toward_sigma(self, below: Tensor, above: Tensor, down: Tensor, up: Tensor) -> Tensor:
        """dsigma = sum over weights and j of dl_j ((w - c_k)^2 - (w - c_j)^2)."""
        offset = 2 * self.offset
        return (above * up * (offset - up) - below * down * (offset + down)).sum()
