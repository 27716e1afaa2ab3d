"""Features for the Frechet distance without a download: those of the CIFAR-10 ResNet-32."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from barycode.evaluation.scripts import load_script

NEIGHBOUR = Path(__file__).parents[1] / "resnet32-cifar10/network.py"


class Features:
    """What a ResNet-32 trained on CIFAR-10 sees, before its last layer: only fit to compare methods."""

    def __init__(self, path: Path) -> None:
        source = load_script(NEIGHBOUR)
        self.network = source.pretrained(path)
        self.network.linear = nn.Identity()
        self.mean, self.deviation = (torch.tensor(x)[:, None, None] for x in (source.MEAN, source.DEVIATION))

    @torch.no_grad()
    def of(self, pictures: Tensor) -> Tensor:
        """(N, 64) of pictures (N, 3, 32, 32) in [0, 1]."""
        normal = (pictures.clamp(0, 1) - self.mean) / self.deviation
        return torch.cat([self.network(part) for part in normal.split(100)])
