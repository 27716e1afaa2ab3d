"""How a convex quantizer finds its weights: the program of Soft Convex Quantization, exact or relaxed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers.core.arguments import positive, whole
from barycode.quantizers.core.assignment import SparseAssignment
from barycode.simplex import solve_convex_program
from barycode.simplex.convex_program import MAX_ITERATIONS
from barycode.simplex.graphs import relax_in_graph, solve_in_graph
from barycode.simplex.nearest import nearest
from barycode.simplex.relaxation import relax
from barycode.simplex.splitting import split
from barycode.simplex.support import Ragged

Vertices = Int64[Tensor, " n"] | None  # None where they are not known yet


@dataclass(frozen=True)
class Combination:
    """What a program makes of vectors z (n, d).

    combined: p C, differentiable in z and the codebook. held: the same with p held: its gradient reaches the
    code vectors as what is combined, and nothing else. weights: a function that gives p. total: one that
    gives the sum of p over the vectors, (K,).
    """

    combined: Float[Tensor, "n d"]
    held: Float[Tensor, "n d"]
    weights: Callable[[], SparseAssignment]
    total: Callable[[], Float[Tensor, " k"]]


class ConvexProgram(Protocol):
    """Weights of vectors z (n, d) over a codebook C (K, d): points of the simplex."""

    def __call__(self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> SparseAssignment: ...

    def combine(
        self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], vertex: Vertices
    ) -> Combination:
        """The convex combinations of the codebook with these weights; `vertex` the nearest code vectors."""


@dataclass(frozen=True)
class ExactProgram:
    """p* = argmin over the simplex of ||z - p C||^2 + lambda ||p - p~||^2 (Algorithm 1 of the paper).

    p~ is the vertex of the nearest code vector, `regularization` is lambda. The optimality conditions hold to
    `tolerance`, and they are what the gradient comes from. A smaller number of `max_iterations` cuts the
    solve short, with a ConvergenceWarning: cheaper, and as biased as its residual is large.
    """

    regularization: float = 0.1
    tolerance: float = 1e-6
    max_iterations: int = MAX_ITERATIONS

    def __post_init__(self) -> None:
        positive("regularization", self.regularization)
        positive("tolerance", self.tolerance)
        if whole("max_iterations", self.max_iterations, least=0) < 1:
            raise InvalidInputError("A program of no iterations is RelaxedProgram, not ExactProgram.")

    def __call__(self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> SparseAssignment:
        solution = solve_convex_program(
            z, codebook, self.regularization, tolerance=self.tolerance, max_iterations=self.max_iterations
        )
        return SparseAssignment(solution.indices, solution.values, len(codebook))

    def combine(
        self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], vertex: Vertices
    ) -> Combination:
        """As `ConvexProgram.combine`."""
        if torch.compiler.is_compiling():
            weights_of = partial(solve_in_graph, tolerance=self.tolerance, max_iterations=self.max_iterations)
            return _of_all(weights_of(z, codebook, self.regularization), codebook)
        weights = self(z, codebook)
        held = replace(weights, values=weights.values.detach())
        return Combination(weights.decode(codebook), held.decode(codebook), lambda: weights, weights.total)


@dataclass(frozen=True)
class RelaxedProgram:
    """The minimiser over all of R^K, projected onto the simplex (Algorithm 2 of the paper)."""

    regularization: float = 0.1

    def __post_init__(self) -> None:
        positive("regularization", self.regularization)

    def __call__(self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> SparseAssignment:
        solution = solve_convex_program(z, codebook, self.regularization, max_iterations=0)
        return SparseAssignment(solution.indices, solution.values, len(codebook))

    def combine(
        self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], vertex: Vertices
    ) -> Combination:
        """As `ConvexProgram.combine`."""
        if torch.compiler.is_compiling():
            chosen = nearest(z, codebook) if vertex is None else vertex
            return _of_all(relax_in_graph(z, codebook, self.regularization, chosen), codebook)
        scale = torch.tensor(self.regularization, dtype=torch.float64, device=z.device)
        weights = relax(z, codebook, scale, vertex)
        combined, held = weights.combine(codebook)
        return Combination(combined, held, lambda: _sparse(weights), lambda: _sparse(weights).total())


@dataclass(frozen=True)
class SplittingProgram:
    """A fixed number of splitting steps towards the optimum, and the derivative of what they compute.

    Between the two algorithms of the paper: `steps` = 0 costs what the relaxation does, and every step is
    two products with the codebook more. The first steps already bring p C near z, with weights on many code
    vectors; with more of them p comes to the optimum of `ExactProgram`. `penalty` is in units of the mean
    square of code vectors around their mean.
    """

    regularization: float = 0.1
    steps: int = 1
    penalty: float = 1.0

    def __post_init__(self) -> None:
        positive("regularization", self.regularization)
        positive("penalty", self.penalty)
        whole("steps", self.steps, least=0)

    def __call__(self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"]) -> SparseAssignment:
        return _all_of(self._blocks(z, codebook, None)[1], len(codebook))

    def combine(
        self, z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], vertex: Vertices
    ) -> Combination:
        """As `ConvexProgram.combine`."""
        combined, blocks = self._blocks(z, codebook, vertex)
        origin = codebook.detach().mean(0)
        codes = codebook - origin
        held = torch.cat([p.detach() @ codes for p in blocks]) + origin
        return Combination(
            combined,
            held,
            lambda: _all_of(blocks, len(codebook)),
            lambda: torch.stack([p.sum(0) for p in blocks]).sum(0),
        )

    def _blocks(self, z: Tensor, codebook: Tensor, vertex: Vertices) -> tuple[Tensor, list[Tensor]]:
        chosen = nearest(z, codebook) if vertex is None else vertex
        return split(z, codebook, self.regularization, chosen, steps=self.steps, penalty=self.penalty)


def _of_all(weights: Tensor, codebook: Tensor) -> Combination:
    """The combination with all weights (n, K) at hand."""
    origin = codebook.detach().mean(0)
    codes = codebook - origin
    return Combination(
        weights @ codes + origin,
        weights.detach() @ codes + origin,
        lambda: _all_of([weights], len(codebook)),
        lambda: weights.sum(0),
    )


def _all_of(blocks: list[Tensor], size: int) -> SparseAssignment:
    values = torch.cat(blocks)
    return SparseAssignment(torch.arange(size, device=values.device).expand_as(values), values, size)


def _sparse(weights: Ragged) -> SparseAssignment:
    values, indices = weights.padded()
    return SparseAssignment(indices, values, weights.support.size)
