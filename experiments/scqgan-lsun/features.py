"""A feature distance without a download: activations of the CIFAR-10 ResNet-32, compared as LPIPS does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from barycode.experiments.scripts import load_script

NEIGHBOUR = Path(__file__).parents[1] / "resnet32-cifar10/network.py"
EPSILON = 1e-10


class FeatureDistance(nn.Module):
    """Mean over three stages of the squared difference of activations of unit length at each place.

    As LPIPS (Zhang et al. 2018), but with a ResNet-32 trained on CIFAR-10 and without learned weights: only
    fit to compare methods with each other. Pictures (B, 3, H, W) in [0, 1] at their own size; 0 if equal.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        source = load_script(NEIGHBOUR)
        self.network = source.pretrained(path).requires_grad_(False)
        self.register_buffer("mean", torch.tensor(source.MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(source.DEVIATION)[:, None, None])

    mean: Tensor
    deviation: Tensor

    @torch.no_grad()
    def forward(self, pictures: Tensor, others: Tensor) -> Tensor:
        """The distance of each pair, (B,)."""
        stages = zip(self._activations(pictures), self._activations(others), strict=True)
        return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in stages]).mean(0)

    def _activations(self, pictures: Tensor) -> Iterator[Tensor]:
        network = self.network
        x = torch.relu(network.bn1(network.conv1((pictures.clamp(0, 1) - self.mean) / self.deviation)))
        for stage in (network.layer1, network.layer2, network.layer3):
            x = stage(x)
            yield x / (x.norm(dim=1, keepdim=True) + EPSILON)
