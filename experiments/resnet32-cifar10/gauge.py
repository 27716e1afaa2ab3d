"""Freedoms of a network with batch normalisation: rewritings that compute the same function."""

from collections.abc import Iterator

import torch
from network import Block, ResNet32
from torch import nn


def convolutions(network: ResNet32) -> Iterator[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Every convolution by the name of its weights, and the normalisation that follows it."""
    for prefix, module in network.named_modules():
        if isinstance(module, ResNet32 | Block):
            for place in ("1", "2"):
                if hasattr(module, f"conv{place}"):
                    name = f"{prefix}.conv{place}.weight".lstrip(".")
                    yield name, getattr(module, f"conv{place}"), getattr(module, f"bn{place}")


@torch.no_grad()
def fold_statistics(network: ResNet32) -> None:
    """Move running means and variances into bias and weight: 0 and 1 remain, which cost no bytes."""
    for _, _, norm in convolutions(network):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        slope = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.sub_(slope * norm.running_mean)
        norm.weight.copy_(slope * (1 + norm.eps) ** 0.5)
        norm.running_mean.zero_()
        norm.running_var.fill_(1)
