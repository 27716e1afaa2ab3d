"""A codebook: K points of R^d, and how much data stands behind each."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.counters import CounterModule
from barycode.quantizers.core.arguments import kind_of, whole


class Codebook(CounterModule):
    """K code vectors of dimension d.

    vectors: (K, d) parameter. Train it by gradient, or call `requires_grad_(False)` and use `EmaUpdate`.
    counts: (K,) buffer, the decayed number of vectors behind each row; only `EmaUpdate` moves it.
    """

    counts: Tensor

    def __init__(self, codebook_size: int, dim: int) -> None:
        super().__init__()
        size = whole("codebook_size", codebook_size)
        self.vectors = nn.Parameter(torch.randn(size, whole("dim", dim)))
        self.register_buffer("counts", torch.zeros(size, dtype=torch.float64))

    @property
    def size(self) -> int:
        """K, the number of code vectors."""
        return self.vectors.shape[0]

    @property
    def dim(self) -> int:
        """d, the dimension of a code vector."""
        return self.vectors.shape[1]

    @torch.no_grad()
    def load(self, vectors: Float[Tensor, "k d"]) -> None:
        """Replace every code vector, in place, and forget all statistics."""
        self.replace(torch.arange(self.size, device=self.vectors.device), vectors)

    @torch.no_grad()
    def replace(self, rows: Int64[Tensor, " r"], vectors: Float[Tensor, "r d"]) -> None:
        """Replace the named rows, in place, and reset every statistic of them.

        Raises InvalidInputError for vectors of another shape, or such that are not finite.
        """
        if vectors.shape != (rows.numel(), self.dim):
            raise InvalidInputError(
                f"The new code vectors have shape {tuple(vectors.shape)}, "
                f"expected ({rows.numel()}, {self.dim})."
            )
        if not vectors.isfinite().all():
            raise InvalidInputError("The new code vectors contain a NaN or an infinity.")
        self.vectors[rows] = vectors.to(self.vectors)
        self.counts[rows] = 0

    def extra_repr(self) -> str:
        return f"codebook_size={self.size}, dim={self.dim}"


def revive(
    codebook: Codebook,
    dead: Bool[Tensor, " k"] | Int64[Tensor, " m"],
    candidates: Float[Tensor, "n d"],
    *,
    optimizer: torch.optim.Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> int:
    """Move dead code vectors, a mask or indices, onto randomly drawn candidates; return how many moved.

    Every trace of the old rows goes: the codebook's counts and, given the optimizer, its moments of them.
    In distributed training pass the same candidates and a generator of the same seed on every rank.
    Raises InvalidInputError for what is no `Codebook`, and for rows or candidates that do not fit it.
    """
    if not isinstance(codebook, Codebook):
        raise InvalidInputError(
            f"`revive` moves the vectors of one Codebook, such as `quantizer.codebooks[0]`, not of a "
            f"{type(codebook).__name__}; a CodebookMaintenance looks after all codebooks of a quantizer."
        )
    vectors = _candidates(candidates, codebook.dim)
    rows = _rows(dead, codebook.size)
    count = min(rows.numel(), vectors.shape[0])
    if count == 0:
        return 0
    chosen = torch.randperm(vectors.shape[0], generator=generator)[:count].to(vectors.device)
    codebook.replace(rows[:count], vectors[chosen])
    if optimizer is not None:
        _forget_moments(optimizer, codebook.vectors, rows[:count])
    return count


def worst_quantized(
    z: Float[Tensor, "*batch d"], quantized: Float[Tensor, "*batch d"], count: int
) -> Float[Tensor, "m d"]:
    """The `count` vectors (or all, of fewer) with the largest ||z - q||^2: candidates for `revive`.

    A code vector moved onto one of them widens the hull of a convex codebook where it is too small.
    """
    vectors, codes = (x.detach().reshape(-1, z.shape[-1]) for x in (z, quantized))
    errors = (vectors - codes).square().sum(1)
    return vectors[errors.topk(min(count, len(vectors))).indices]


def _candidates(candidates: Tensor, dim: int) -> Tensor:
    if not isinstance(candidates, Tensor) or candidates.ndim == 0 or candidates.shape[-1] != dim:
        shape = tuple(candidates.shape) if isinstance(candidates, Tensor) else type(candidates).__name__
        raise InvalidInputError(f"Candidates for revival are a tensor of vectors (..., {dim}), not {shape}.")
    return candidates.detach().reshape(-1, dim)


def _rows(dead: Tensor, size: int) -> Tensor:
    """The indices that a mask (K,) or indices (m,) name."""
    if isinstance(dead, Tensor):
        if dead.dtype == torch.bool and dead.shape == (size,):
            return dead.nonzero().flatten()
        if dead.dtype == torch.int64 and dead.ndim == 1 and bool(((dead >= 0) & (dead < size)).all()):
            return dead.unique()
    raise InvalidInputError(
        f"Dead code vectors are a bool mask ({size},) or int64 indices below {size}, not {kind_of(dead)}."
    )


def _forget_moments(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, rows: Tensor) -> None:
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value[rows] = 0
