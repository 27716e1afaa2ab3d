"""A codebook for convex combinations: corners of the data, fitted so that their mixtures explain it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.quantizers.initialization import farthest, sample
from barycode.quantizers.programs import Exact, Program

CANDIDATES = 64  # vectors looked at for each code vector
STIFFNESS = 1e-2  # of a code vector, as a share of the mean weight that stands behind one


@torch.no_grad()
def archetypes(
    vectors: Float[Tensor, "n d"],
    codebook_size: int,
    *,
    program: Program = Exact(),  # noqa: B008  frozen
    iterations: int = 3,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "k d"]:
    """K points whose convex combinations are near the vectors: for `quantizer.initialize(z, archetypes)`.

    Starts at `farthest` vectors and alternates, as k-means does, between the weights p of the program and the
    code vectors argmin_C sum ||z - p C||^2, held a little to where they were. They may leave the data. Looks
    at up to CANDIDATES * K vectors, drawn at random.
    """
    drawn = sample(
        vectors, max(codebook_size, min(len(vectors), CANDIDATES * codebook_size)), generator=generator
    )
    codebook = farthest(drawn, codebook_size, generator=generator)
    for _ in range(iterations):
        codebook = _refit(drawn, program(drawn, codebook), codebook)
    return codebook


def _refit(vectors: Tensor, weights: Tensor, codebook: Tensor) -> Tensor:
    """argmin_C sum ||z - p C||^2 + r ||C - C_before||^2, in float64."""
    p, before = weights.double(), codebook.double()
    stiffness = STIFFNESS * len(vectors) / len(codebook)
    system = p.T @ p
    system.diagonal().add_(stiffness)
    return torch.linalg.solve(system, p.T @ vectors.double() + stiffness * before).to(codebook)
