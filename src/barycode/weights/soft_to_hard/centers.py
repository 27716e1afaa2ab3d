"""Sorted scalar centers as objects: the grid, and centers that are learned one by one. One is always zero."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.kmeans_1d import kmeans_1d
from barycode.weights.hardened import MAX_CENTERS
from barycode.weights.soft_to_hard.soft_scalar import nearest_rank

HEADROOM = 1.5  # how far a new grid reaches beyond the largest weight


class Centers(nn.Module, ABC):
    """K sorted scalars, one of them exactly zero whatever training does."""

    @abstractmethod
    def values(self) -> Float[Tensor, " k"]:
        """The centers, ascending."""

    @abstractmethod
    def spacing(self) -> Float[Tensor, ""]:
        """The typical distance of neighbours: sigma is told in units of 1 / spacing^2."""

    @torch.no_grad()
    def nearest(self, weights: Float[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
        """The rank of the center nearest to each weight."""
        return nearest_rank(weights, self.values().to(weights.dtype))

    def forward(self) -> Float[Tensor, " k"]:
        return self.values()


CentersFor = Callable[[Float[Tensor, " n"]], Centers]
"""Makes the centers of the weights it is given."""


class Grid(Centers):
    """step * (-reach ... reach). The step is learned by its logarithm, unless `learned` is False."""

    codes: Tensor

    def __init__(self, step: float, reach: int, *, learned: bool = True) -> None:
        super().__init__()
        if not 0 < step < float("inf"):
            raise InvalidInputError(f"A grid with the step {step}: expected a positive number.")
        if not 1 <= reach <= (MAX_CENTERS - 1) // 2:
            raise InvalidInputError(
                f"A grid reaches {reach} steps: expected 1 to {(MAX_CENTERS - 1) // 2}; take a larger step."
            )
        self.log_step = nn.Parameter(torch.tensor(step).log(), requires_grad=learned)
        self.register_buffer("codes", _codes(reach), persistent=False)

    @classmethod
    def covering(cls, weights: Float[Tensor, " n"], step: float, *, learned: bool = True) -> "Grid":
        """The grid that holds all weights, with headroom."""
        largest = float(weights.detach().abs().max()) if weights.numel() else 0.0
        return cls(step, int(HEADROOM * largest / step) + 1, learned=learned)

    def values(self) -> Float[Tensor, " k"]:
        return self.spacing() * self.codes

    def spacing(self) -> Float[Tensor, ""]:
        return self.log_step.exp()

    def get_extra_state(self) -> Tensor:
        """The reach, which comes from the weights that the grid was made for."""
        return torch.tensor(len(self.codes) // 2)

    def set_extra_state(self, state: Tensor) -> None:
        self.codes = _codes(int(state)).to(self.codes.device)

    @torch.no_grad()
    def nearest(self, weights: Float[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
        """By rounding: ten times faster than a search. Halves go to the even code."""
        reach = len(self.codes) // 2
        return (weights / self.spacing()).round_().clamp_(-reach, reach).add_(reach).long()


class LearnedCenters(Centers):
    """Zero, and K - 1 centers that training moves; they may pass each other."""

    distance: Tensor

    def __init__(self, centers: Float[Tensor, " k"]) -> None:
        """The one nearest to zero becomes zero."""
        super().__init__()
        if centers.ndim != 1 or not len(centers) or not bool(centers.isfinite().all()):
            raise InvalidInputError(
                f"Centers of shape {tuple(centers.shape)}: expected finite numbers (K,), K of 1 or more."
            )
        centers = centers.detach().to(torch.promote_types(centers.dtype, torch.float32)).sort().values
        others = torch.ones(len(centers), dtype=torch.bool)
        others[centers.abs().argmin()] = False
        self.others = nn.Parameter(centers[others.to(centers.device)].clone())
        gaps = centers.diff()
        self.register_buffer("distance", gaps.median() if len(gaps) else centers.new_ones(()))

    def values(self) -> Float[Tensor, " k"]:
        return torch.cat([self.others, self.others.new_zeros(1)]).sort().values

    def spacing(self) -> Float[Tensor, ""]:
        """The median distance of neighbours at the start."""
        return self.distance


def _codes(reach: int) -> Tensor:
    return torch.arange(-reach, reach + 1, dtype=torch.get_default_dtype())


def grid(step: float, *, learned: bool = True) -> CentersFor:
    """Grids of this step."""
    return lambda weights: Grid.covering(weights, step, learned=learned)


def relative_grid(steps_per_deviation: float = 2.0, *, learned: bool = True) -> CentersFor:
    """Grids with so many steps in a standard deviation of the weights."""

    def make(weights: Tensor) -> Centers:
        deviation = float(weights.detach().double().square().sum() / max(weights.numel(), 1)) ** 0.5 or 1.0
        return Grid.covering(weights, deviation / steps_per_deviation, learned=learned)

    return make


def kmeans_centers(codebook_size: int) -> CentersFor:
    """The K centers of least squared error, the one nearest to zero moved there; learned from then on."""
    return lambda weights: LearnedCenters(kmeans_1d(weights.detach().flatten(), codebook_size))
