"""How a convex quantizer finds its weights: the program of Soft Convex Quantization, exact or relaxed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.simplex import solve_convex_program


class Program(Protocol):
    """Weights (n, K) of z (n, d) over a codebook (K, d): rows of the simplex, differentiable in both."""

    def __call__(self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> Float[Tensor, "n k"]: ...


@dataclass(frozen=True)
class Exact:
    """p* = argmin over the simplex of ||z - p C||^2 + lambda ||p - p~||^2 (Algorithm 1 of the paper).

    p~ is the vertex of the nearest code vector, `regularization` is lambda; the solver stops at `tolerance`.
    """

    regularization: float = 0.1
    tolerance: float = 1e-4
    max_iterations: int = 100

    def __post_init__(self) -> None:
        _require_positive(self.regularization)

    def __call__(self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> Float[Tensor, "n k"]:
        solution = solve_convex_program(
            z,
            codebook,
            self.regularization,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
        )
        weights: Tensor = solution.weights
        return weights


@dataclass(frozen=True)
class Relaxed:
    """The minimiser over all of R^K, projected onto the simplex (Algorithm 2 of the paper)."""

    regularization: float = 0.1

    def __post_init__(self) -> None:
        _require_positive(self.regularization)

    def __call__(self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> Float[Tensor, "n k"]:
        weights: Tensor = solve_convex_program(z, codebook, self.regularization, max_iterations=0).weights
        return weights


def _require_positive(regularization: float) -> None:
    if not 0 < regularization < float("inf"):
        raise InvalidInputError(f"lambda must be a finite number > 0, not {regularization}.")
