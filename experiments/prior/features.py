"""Features for the Frechet distance without a download: those of the CIFAR-10 ResNet-32."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from barycode.experiments.scripts import load_script
from barycode.training.autoencoders.pictures import to_tensor
from barycode.training.datasets.picture_set import Images

NEIGHBOUR = Path(__file__).parents[1] / "resnet32-cifar10/network.py"


class Features:
    """What a ResNet-32 trained on CIFAR-10 sees, before its last layer: only fit to compare methods."""

    def __init__(self, path: Path, data: Images) -> None:
        self.data = data
        source = load_script(NEIGHBOUR)
        self.network = source.pretrained(path)
        self.network.linear = nn.Identity()
        self.mean, self.deviation = (torch.tensor(x)[:, None, None] for x in (source.MEAN, source.DEVIATION))

    @cached_property
    def known(self) -> Tensor:
        """(N, 64) of the pictures that all methods are compared to."""
        return self.of(to_tensor(self.data))

    @torch.no_grad()
    def of(self, pictures: Tensor) -> Tensor:
        """(N, 64) of pictures (N, 3, 32, 32) in [0, 1]."""
        normal = (pictures.clamp(0, 1) - self.mean) / self.deviation
        return torch.cat([self.network(part) for part in normal.split(100)])
