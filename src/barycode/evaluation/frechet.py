"""The Frechet distance of two sets of features: how far samples are from the data as a whole."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.errors import InvalidInputError


def frechet_distance(samples: Float[Tensor, "n d"], data: Float[Tensor, "m d"]) -> float:
    """|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) of means and covariances (Dowson and Landau 1982).

    With features of a classifier it compares generators (Heusel et al. 2017); it falls with the number of
    samples, so compare equal numbers. Raises InvalidInputError for fewer than two rows.
    """
    if samples.shape[1:] != data.shape[1:] or min(len(samples), len(data)) < 2:
        raise InvalidInputError(
            f"The Frechet distance compares features (n, d) and (m, d) of at least two rows each, "
            f"not {tuple(samples.shape)} and {tuple(data.shape)}."
        )
    (mean, covariance), (other_mean, other) = _moments(samples), _moments(data)
    root = _root(covariance)
    middle = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
    distance = (mean - other_mean).square().sum() + covariance.trace() + other.trace() - 2 * middle
    return float(distance.clamp(min=0))


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    features = features.double()
    return features.mean(0), torch.cov(features.T).reshape(features.shape[1], -1)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
