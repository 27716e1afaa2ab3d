"""A codebook for convex combinations: corners of the data, fitted so that their mixtures explain it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.quantizers.codebook.initialization import farthest, sample
from barycode.quantizers.convex.programs import ExactProgram
from barycode.quantizers.core.assignment import SparseAssignment
from barycode.quantizers.core.quantizer import Initialization

Weighing = Callable[[Tensor, Tensor], SparseAssignment]  # (vectors, codebook) -> their weights

CANDIDATES = 256  # vectors looked at for each code vector
BLOCK = 4096
STIFFNESS = 1e-2  # of a code vector, as a share of the mean weight that stands behind one


@torch.no_grad()
def archetypes(
    vectors: Float[Tensor, "n d"],
    codebook_size: int,
    *,
    program: Weighing = ExactProgram(),  # noqa: B008  frozen
    start: Initialization = farthest,
    iterations: int = 3,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "k d"]:
    """K points whose convex combinations are near the vectors: for `quantizer.initialize(z, archetypes)`.

    Alternates, as k-means does, between the weights p of the program and the code vectors
    argmin_C sum ||z - p C||^2, held a little to where they were; they may leave the data. A `SparseCode` as
    the program fits a codebook for that code; start it at `kmeans`. Looks at up to CANDIDATES * K vectors,
    drawn at random.
    """
    drawn = sample(
        vectors, max(codebook_size, min(len(vectors), CANDIDATES * codebook_size)), generator=generator
    )
    codebook = start(drawn, codebook_size)
    for _ in range(iterations):
        codebook = _refit(drawn, program, codebook)
    return codebook


def _refit(vectors: Tensor, program: Weighing, codebook: Tensor) -> Tensor:
    """argmin_C sum ||z - p C||^2 + r ||C - C_before||^2, in float64."""
    stiffness = STIFFNESS * len(vectors) / len(codebook)
    system = torch.diag(torch.full_like(codebook[:, 0], stiffness, dtype=torch.float64))
    right = stiffness * codebook.double()
    for block in vectors.split(BLOCK):
        weights = program(block, codebook).dense().double()
        system += weights.T @ weights
        right += weights.T @ block.double()
    return torch.linalg.solve(system, right).to(codebook)
