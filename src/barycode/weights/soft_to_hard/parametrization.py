"""A weight as training sees it: soft, or hard with the gradient of soft; always hard in evaluation."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.core.estimators import straight_through
from barycode.weights.hardened import Hardened
from barycode.weights.soft_to_hard.centers import Centers
from barycode.weights.soft_to_hard.soft_scalar import soft_counts, soft_scalar


class SoftToHard(nn.Module):
    """w -> sum_j phi_j c_j, phi = softmax(-sigma (w - c_j)^2 / spacing^2); in evaluation the nearest center.

    For `torch.nn.utils.parametrize`. sigma has no unit: at 2 the soft weight is close to w itself, at 20
    it is hard but for weights near a threshold. With `hard_forward`, training sees the nearest center, with
    the gradient of the soft weight. Weights that are pruned are zero in every mode.
    """

    sigma: Tensor
    kept: Tensor | None

    def __init__(self, centers: Centers, sigma: float, *, hard_forward: bool = False) -> None:
        super().__init__()
        self.centers = centers
        self.hard_forward = hard_forward
        self.register_buffer("sigma", torch.ones(()))
        self.register_buffer("kept", None)
        self.anneal(sigma)

    def anneal(self, sigma: float) -> None:
        """Set sigma > 0; infinity is hard."""
        if not sigma > 0:
            raise InvalidInputError(f"sigma must be a number > 0, not {sigma}.")
        self.sigma.fill_(sigma)

    def forward(self, weights: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        wide, ranks, centers = self._assigned(weights)
        if not self.training:
            return _look_up(centers, ranks, weights)
        soft = self.pruned(soft_scalar(wide, ranks, centers, self._precision())).to(weights.dtype)
        return straight_through(soft, _look_up(centers, ranks, weights)) if self.hard_forward else soft

    def soft_counts(self, weights: Float[Tensor, "*shape"]) -> Float[Tensor, " k"]:
        """How many weights each center has, by their shares phi; differentiable."""
        wide, ranks, centers = self._assigned(weights)
        return soft_counts(wide, ranks, centers, self._precision())

    def hard_counts(self, weights: Float[Tensor, "*shape"]) -> Float[Tensor, " k"]:
        """How many weights are nearest to each center."""
        _, ranks, centers = self._assigned(weights.detach())
        return torch.bincount(ranks.flatten(), minlength=len(centers)).to(centers.dtype)

    def pruned(self, weights: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return weights if self.kept is None else weights * self.kept

    @torch.no_grad()
    def hardened(self, weights: Float[Tensor, "*shape"]) -> Hardened:
        """The codes of the weights and what they mean."""
        _, ranks, centers = self._assigned(weights)
        return Hardened(ranks.cpu(), centers.to(weights.dtype).cpu())

    def _assigned(self, weights: Tensor) -> tuple[Tensor, Int64[Tensor, "*shape"], Tensor]:
        """Weights after pruning, the ranks of their nearest centers, the centers; in one dtype, not half."""
        centers = self.centers.values()
        wide = self.pruned(weights).to(torch.promote_types(weights.dtype, centers.dtype))
        return wide, self.centers.nearest(wide.detach()), centers.to(wide.dtype)

    def _precision(self) -> Tensor:
        """sigma / spacing^2, finite: the shares of an infinite one are 0 and 1 all the same."""
        precision = self.sigma / self.centers.spacing().square()
        return precision.clamp(max=torch.finfo(precision.dtype).max ** 0.5)


def _look_up(centers: Tensor, ranks: Tensor, like: Tensor) -> Tensor:
    """The nearest centers themselves, in the dtype of the weights."""
    return centers.detach().to(like.dtype).index_select(0, ranks.flatten()).view_as(ranks)
