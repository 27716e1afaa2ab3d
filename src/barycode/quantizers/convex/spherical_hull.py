"""A codebook around the data: a hull for convex combinations whose corners are all in use."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import normalize

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.initialization import kmeans
from barycode.simplex.nearest import nearest

REACH = 0.99  # share of the vectors within radius 1
ROUNDS = 40
MOST_OFTEN = 20.0  # times the fair share; more does not push further
PUSH = 0.02  # power of the share by which a radius grows, at first


@torch.no_grad()
def spherical_hull(
    vectors: Float[Tensor, "n d"],
    codebook_size: int,
    *,
    radius: float = 1.5,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "k d"]:
    """K points around the vectors, each the nearest one of about equally many.

    Their directions from the mean are k-means of the vectors' directions, their distances about `radius`
    times that within which nearly all vectors lie. For `quantizer.initialize(z, spherical_hull)`: inside of
    the hull the program of Soft Convex Quantization has no error but what lambda costs. Raises
    InvalidInputError for a radius that is not above 0.
    """
    if not 0 < radius < float("inf"):
        raise InvalidInputError(f"The radius must be a finite number > 0, not {radius}.")
    mean = vectors.mean(0)
    around = vectors - mean
    corners = normalize(kmeans(normalize(around, dim=1), codebook_size, generator=generator), dim=1)
    corners *= radius * _quantile(around.norm(dim=1), REACH)
    for number in range(ROUNDS):
        counts = torch.bincount(nearest(around, corners), minlength=codebook_size)
        corners = _balanced(corners, counts, PUSH * (1 - number / ROUNDS))
    return mean + corners


def _balanced(
    corners: Float[Tensor, "k d"], totals: Shaped[Tensor, " k"], power: float
) -> Float[Tensor, "k d"]:
    """Corners moved away from the origin where they weigh more than others in all, else nearer.

    The geometric mean of their distances stays.
    """
    share = totals.to(corners) * (len(corners) / totals.sum().clamp(min=1))
    push = share.clamp(1 / MOST_OFTEN, MOST_OFTEN).log()
    return corners * ((push - push.mean()) * power).exp()[:, None]


def _quantile(values: Tensor, share: float) -> Tensor:
    """`Tensor.quantile` refuses more than 16 million values."""
    return values.kthvalue(max(1, round(share * values.numel()))).values
