"""A codebook in float64, around its mean and of radius 1, and the linear systems of its supports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

GRAM_SIZE = 2048  # codebooks up to this size have their inner products computed once
CANDIDATES = 8  # code vectors that may join a support at once: the best one of so many groups
ENTRIES = 2**17  # of what is held at once, scores and code vectors: a megabyte, which stays in the cache
EPSILON = torch.finfo(torch.float64).eps
FAR = 1e8  # radii: from there on a vector sees the codebook's face in its direction, and float64 little else
LEAST, MOST = 1e-13, 1e15  # lambda over the squared radius: less drowns in the rounding of C C^T

Inverse = Callable[[Tensor, float, Tensor], Tensor]


@dataclass(frozen=True)
class CenteredCodebook:
    """(C - origin) / radius in float64: `size` code vectors, and at least one row of zeros.

    The weights of the program do not change when z and C move by the same vector, nor when both are divided
    by a number and lambda by its square. The index `size` stands for none. The rows of zeros make CANDIDATES
    groups of equal length.
    """

    vectors: Tensor
    origin: Tensor
    radius: float
    size: int
    gram: Tensor | None  # inner products of the rows, of a small codebook

    @classmethod
    def of(cls, codebook: Tensor) -> CenteredCodebook:
        precise = codebook.detach().double()
        origin, size = precise.mean(0), len(codebook)
        spread = precise - origin
        largest = float(spread.abs().amax())  # the square of a number near the limits is not one
        radius = largest * float((spread / (largest or 1)).square().sum(1).amax().sqrt()) or 1.0
        vectors = functional.pad(spread / radius, (0, 0, 0, CANDIDATES - size % CANDIDATES))
        return cls(vectors, origin, radius, size, vectors @ vectors.T if size <= GRAM_SIZE else None)

    def place(self, z: Tensor) -> Tensor:
        """(z - origin) / radius, in float64; a vector with a number beyond FAR is brought back to there."""
        spread = z.double() - self.origin
        return spread / (spread.abs().amax(-1, keepdim=True) / FAR).clamp(min=self.radius)

    def relative(self, regularization: float) -> float:
        """lambda over the squared radius, as far as float64 can tell it from nothing and from everything."""
        return min(max(regularization / self.radius / self.radius, LEAST), MOST)

    def longest(self, shift: float, accuracy: float) -> int:
        """Up to how many code vectors a system is one over the support; that of more is one over d axes."""
        return self.vectors.shape[1] if EPSILON / shift**2 <= accuracy else len(self.vectors)

    def products(self, indices: Tensor) -> Tensor:
        """C_S C_S^T, (n, s, s)."""
        if self.gram is None:
            chosen = self.vectors[indices]
            return chosen @ chosen.mT
        pairs = (indices * len(self.vectors))[:, :, None] + indices[:, None, :]
        return self.gram.view(-1).index_select(0, pairs.view(-1)).view(pairs.shape)

    def solve(self, indices: Tensor, shift: float, right: Tensor, total: float, accuracy: float) -> Tensor:
        """x (n, s) with (C_S C_S^T + shift I) x = right - nu 1 and sum(x) = total; 0 where there is none.

        Rows with long supports first, and few of them at once: large systems leave the cache. A support of
        more than d vectors has d equations instead, where the conditions then hold up to about `accuracy`.
        """
        dim, longest = self.vectors.shape[1], self.longest(shift, accuracy)
        x = torch.zeros_like(right)
        places = torch.arange(1, indices.shape[1] + 1, device=indices.device)
        lengths, order = ((indices < self.size) * places).amax(-1).sort()
        stop = len(indices)
        while stop > 0:
            width = max(1, int(lengths[stop - 1]))
            start = max(0, stop - max(1, ENTRIES // (2 * width * min(width, dim))))
            rows = order[start:stop]
            inverse = self._inverse if width <= longest else self._inverse_by_dim
            x[rows, :width] = self._solve(inverse, indices[rows, :width], shift, right[rows, :width], total)
            stop = start
        return x

    def _solve(self, inverse: Inverse, indices: Tensor, shift: float, right: Tensor, total: float) -> Tensor:
        there = (indices < self.size).to(right.dtype)
        x, unit = inverse(indices, shift, torch.stack([right * there, there], -1)).unbind(-1)
        return x - unit * ((x.sum(-1, keepdim=True) - total) / unit.sum(-1, keepdim=True))

    def _inverse(self, indices: Tensor, shift: float, right: Tensor) -> Tensor:
        """(C_S C_S^T + shift I)^-1 right, for right (n, s, m)."""
        system = self.products(indices)
        system.diagonal(dim1=1, dim2=2).add_(shift)
        return torch.cholesky_solve(right, torch.linalg.cholesky_ex(system).L)

    def _inverse_by_dim(self, indices: Tensor, shift: float, right: Tensor) -> Tensor:
        """The same as (right - C_S (C_S^T C_S + shift I)^-1 C_S^T right) / shift (Woodbury)."""
        chosen = self.vectors.index_select(0, indices.view(-1)).view(*indices.shape, -1)
        system = chosen.mT @ chosen
        system.diagonal(dim1=1, dim2=2).add_(shift)
        inner = torch.cholesky_solve(chosen.mT @ right, torch.linalg.cholesky_ex(system).L)
        return torch.baddbmm(right, chosen, inner, alpha=-1) / shift
