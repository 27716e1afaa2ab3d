"""A loss that keeps code vectors apart."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from barycode.quantizers.core.sphere import on_sphere


def orthogonality(vectors: Float[Tensor, "k d"]) -> Float[Tensor, ""]:
    """||C C^T - I||_F^2 / K^2 of the code vectors' directions C (Shin et al. 2021, arXiv:2112.00384, eq. 2).

    0 where they are orthogonal, 1 - 1/K where all are one; a weight times it belongs to the training loss:
    `loss + 10 * orthogonality(vq.codebook.vectors)`. Costs d^2 numbers, not K^2.
    """
    directions = on_sphere(vectors)
    gram = directions.T @ directions  # has the same sum of squares as the K x K one
    size = max(1, len(vectors))
    return gram.square().sum() / size**2 - directions.square().sum(1).square().sum() / size**2
