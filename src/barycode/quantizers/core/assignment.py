"""Points of the probability simplex over a codebook: what every quantizer picks, in the form it picked it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.simplex.sparse import combine


class Assignment(ABC):
    """The weights p of K code vectors for each vector of a batch of shape (...): p >= 0, sum(p) = 1.

    A quantizer returns `p C`. Everything after it (losses, rate, health, bytes) sees only p.
    """

    @property
    @abstractmethod
    def codebook_size(self) -> int:
        """K, the number of code vectors that the weights belong to."""

    @abstractmethod
    def dense(self) -> Float[Tensor, "*batch k"]:
        """All the weights, (..., K): memory N x K."""

    @abstractmethod
    def decode(self, codebook: Float[Tensor, "k d"]) -> Float[Tensor, "*batch d"]:
        """The convex combination p C, (..., d), for a codebook C of shape (K, d)."""

    @abstractmethod
    def total(self) -> Float[Tensor, " k"]:
        """The mass of each code vector, (K,): the weights summed over the batch."""

    @abstractmethod
    def vertex(self) -> Int64[Tensor, "*batch"]:
        """The code vector of the largest weight, (...); the lowest index where several share it."""

    @abstractmethod
    def entropy(self) -> Float[Tensor, "*batch"]:
        """-sum p log2 p of each vector in bits, (...): 0 at a vertex, log2 K in the middle."""


@dataclass(frozen=True)
class OneHotAssignment(Assignment):
    """A vertex of the simplex, held by its index: plain vector quantization."""

    indices: Int64[Tensor, "*batch"]
    size: int

    @property
    def codebook_size(self) -> int:
        return self.size

    def dense(self) -> Float[Tensor, "*batch k"]:
        return functional.one_hot(self.indices, self.size).to(torch.get_default_dtype())

    def decode(self, codebook: Float[Tensor, "k d"]) -> Float[Tensor, "*batch d"]:
        _require_rows(codebook, self.size)
        return functional.embedding(self.indices, codebook)

    def total(self) -> Float[Tensor, " k"]:
        counts = torch.bincount(self.indices.flatten(), minlength=self.size)
        return counts.to(torch.get_default_dtype())

    def vertex(self) -> Int64[Tensor, "*batch"]:
        return self.indices

    def entropy(self) -> Float[Tensor, "*batch"]:
        return torch.zeros(self.indices.shape, device=self.indices.device)


@dataclass(frozen=True)
class SparseAssignment(Assignment):
    """A point with few non-zero weights, held as s pairs (index, weight).

    Spare pairs weigh 0; the weights of pairs with the same index add up.
    """

    indices: Int64[Tensor, "*batch s"]
    values: Float[Tensor, "*batch s"]
    size: int

    @property
    def codebook_size(self) -> int:
        return self.size

    def dense(self) -> Float[Tensor, "*batch k"]:
        zeros = self.values.new_zeros(*self.values.shape[:-1], self.size)
        return zeros.scatter_add(-1, self.indices, self.values)

    def decode(self, codebook: Float[Tensor, "k d"]) -> Float[Tensor, "*batch d"]:
        _require_rows(codebook, self.size)
        values, indices = (part.reshape(-1, part.shape[-1]) for part in (self.values, self.indices))
        decoded = combine(values, indices, codebook.to(self.values.dtype))
        return decoded.reshape(*self.values.shape[:-1], codebook.shape[1])

    def total(self) -> Float[Tensor, " k"]:
        return self.values.new_zeros(self.size).index_add(0, self.indices.flatten(), self.values.flatten())

    def vertex(self) -> Int64[Tensor, "*batch"]:
        point = self.merged()
        heaviest = point.values == point.values.amax(-1, keepdim=True)
        return point.indices.masked_fill(~heaviest, self.size).amin(-1)

    def entropy(self) -> Float[Tensor, "*batch"]:
        return _entropy_bits(self.merged().values)

    def merged(self) -> SparseAssignment:
        """The same point with indices in order, the weights of equal ones added up at the first of them."""
        indices, order = self.indices.sort(dim=-1, stable=True)
        first = functional.pad(indices[..., 1:] != indices[..., :-1], (1, 0), value=True)
        group = first.cumsum(-1) - 1
        sums = torch.zeros_like(self.values).scatter_add(-1, group, self.values.gather(-1, order))
        return SparseAssignment(indices, sums.gather(-1, group).masked_fill(~first, 0), self.size)


@dataclass(frozen=True)
class LazyAssignment(Assignment):
    """A sparse point that is computed when it is asked for, once."""

    compute: Callable[[], SparseAssignment]
    size: int

    @cached_property
    def point(self) -> SparseAssignment:
        return self.compute()

    @property
    def codebook_size(self) -> int:
        return self.size

    def dense(self) -> Float[Tensor, "*batch k"]:
        return self.point.dense()

    def decode(self, codebook: Float[Tensor, "k d"]) -> Float[Tensor, "*batch d"]:
        return self.point.decode(codebook)

    def total(self) -> Float[Tensor, " k"]:
        return self.point.total()

    def vertex(self) -> Int64[Tensor, "*batch"]:
        return self.point.vertex()

    def entropy(self) -> Float[Tensor, "*batch"]:
        return self.point.entropy()


@dataclass(frozen=True)
class DenseAssignment(Assignment):
    """A point of the simplex with all its K weights: the soft quantizers."""

    values: Float[Tensor, "*batch k"]

    @property
    def codebook_size(self) -> int:
        return self.values.shape[-1]

    def dense(self) -> Float[Tensor, "*batch k"]:
        return self.values

    def decode(self, codebook: Float[Tensor, "k d"]) -> Float[Tensor, "*batch d"]:
        _require_rows(codebook, self.codebook_size)
        return self.values @ codebook.to(self.values.dtype)

    def total(self) -> Float[Tensor, " k"]:
        return self.values.reshape(-1, self.codebook_size).sum(0)

    def vertex(self) -> Int64[Tensor, "*batch"]:
        return self.values.argmax(-1)

    def entropy(self) -> Float[Tensor, "*batch"]:
        return _entropy_bits(self.values)


@dataclass(frozen=True)
class ProductAssignment(Assignment):
    """A point of a product of simplices: one assignment for each stage or group of a composed quantizer.

    Its codebook is the parts' codebooks stacked (K_1 + ... + K_m rows), so that `decode` is the sum over the
    parts: residual codes directly, product codes with block-diagonal rows. The weights of each part sum to 1.
    """

    parts: tuple[Assignment, ...]

    @property
    def codebook_size(self) -> int:
        return sum(part.codebook_size for part in self.parts)

    def dense(self) -> Float[Tensor, "*batch k"]:
        return torch.cat([part.dense() for part in self.parts], -1)

    def decode(self, codebook: Float[Tensor, "k d"]) -> Float[Tensor, "*batch d"]:
        _require_rows(codebook, self.codebook_size)
        blocks = codebook.split([part.codebook_size for part in self.parts])
        decoded = [part.decode(block) for part, block in zip(self.parts, blocks, strict=True)]
        return torch.stack(decoded).sum(0)

    def total(self) -> Float[Tensor, " k"]:
        return torch.cat([part.total() for part in self.parts])

    def vertex(self) -> Int64[Tensor, "*batch m"]:
        """The heaviest code vector of each part, (..., m), counted within its own codebook."""
        return torch.stack([part.vertex() for part in self.parts], -1)

    def entropy(self) -> Float[Tensor, "*batch"]:
        return torch.stack([part.entropy() for part in self.parts]).sum(0)


def _entropy_bits(weights: Tensor) -> Tensor:
    positive = weights.clamp_min(torch.finfo(weights.dtype).tiny)
    return -(weights * positive.log2()).sum(-1)


def _require_rows(codebook: Tensor, rows: int) -> None:
    if codebook.ndim != 2 or codebook.shape[0] != rows:
        raise InvalidInputError(
            f"The codebook has shape {tuple(codebook.shape)}, but these weights need ({rows}, d)."
        )
