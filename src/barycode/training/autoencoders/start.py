"""How the autoencoder starts: as a block transform and its inverse, not as noise.

The latents of a place are the coefficients of its block of f x f pixels in an orthonormal basis, cosines of
opponent colours, the lowest frequencies first. A coefficient travels as two channels, its positive and its
negative part, so that rectifiers change nothing; residual blocks begin as the identity. Where the channels
suffice (f = 4, hidden 128, 48 latents) the untrained autoencoder without quantization returns its input, and
no steps are spent on learning to copy. Channels that the transform does not need keep their random weights,
but nothing that it needs listens to them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

Convolution = nn.Conv2d | nn.ConvTranspose2d
COLOURS = 3
SPREAD = 0.22  # deviation of a channel of CIFAR-10's block transforms
OPPONENTS = torch.tensor([[1.0, 1, 1], [-1, -1, 2], [1, -1, 0]])  # light, blue and yellow, red and green


@torch.no_grad()
def start_as_transform(encoder: nn.Module, decoder: nn.Module) -> None:
    """Set an encoder and a decoder of `network`: convolutions of stride 2, others of stride 1, blocks."""
    down, (across, *_, project) = _by_stride(encoder)
    up, (lift, *_) = _by_stride(decoder)
    kernels = block_transforms([layer.out_channels for layer in down])
    count = len(kernels[-1])
    for level, kernel in enumerate(kernels):
        _fill(down[level], _split(kernel if level == 0 else _joined(kernel)))
        back = kernel.transpose(0, 1)
        _fill(up[-1 - level], _joined(back if level == 0 else _split(back)))
    _fill(across, _identity(2 * count))
    _fill(project, _joined(_identity(count))[: project.out_channels])
    _fill(lift, _split(_identity(count)[:, : lift.in_channels]))


@torch.no_grad()
def standardise(encoder: nn.Sequential, inputs: Tensor) -> None:
    """Scale the last layer so that every latent channel of these inputs has mean 0 and deviation SPREAD.

    For an encoder with random weights, whose latents hardly differ: codebooks and lambda then begin in the
    same units as after `start_as_transform`.
    """
    latents = encoder(inputs).transpose(0, 1).flatten(1)
    scale = SPREAD / latents.std(1)
    last = cast(nn.Conv2d, encoder[-1])
    cast(Tensor, last.bias).sub_(latents.mean(1)).mul_(scale)
    last.weight.mul_(scale[:, None, None, None])


def block_transforms(widths: Sequence[int]) -> list[Tensor]:
    """Kernels (c', c, 2, 2) that make the coefficients of a block from those of its four quarters.

    widths: channels after each halving; half as many coefficients fit there.
    """
    counts = [min(COLOURS * 4**level, width // 2) for level, width in enumerate(widths, 1)]
    bases = [torch.eye(COLOURS).reshape(COLOURS, 1, 1, COLOURS)]
    bases += [cosines(2**level, count) for level, count in enumerate(counts, 1)]
    return [_from_quarters(*pair) for pair in pairwise(bases)]


def cosines(side: int, count: int) -> Tensor:
    """The `count` lowest frequencies of square blocks: (count, side, side, 3), orthonormal."""
    frequency = torch.arange(side)
    waves = torch.cos(math.pi / side * frequency[:, None] * (frequency + 0.5))
    waves = waves / waves.norm(dim=1, keepdim=True)
    colours = OPPONENTS / OPPONENTS.norm(dim=1, keepdim=True)
    basis = torch.einsum("uy,vx,oc->uvoyxc", waves, waves, colours).flatten(0, 2)
    colour_last = torch.tensor([0, 0.5, 0.5])  # of the same frequency, light first
    square = frequency[:, None, None] ** 2 + frequency[:, None] ** 2 + colour_last
    return basis[square.flatten().argsort(stable=True)[:count]]


def _from_quarters(small: Tensor, large: Tensor) -> Tensor:
    """Inner products of the functions of a block with those of its quarters, (c', c, 2, 2)."""
    side = small.shape[1]
    quarters = large.unflatten(2, (2, side)).unflatten(1, (2, side))
    return torch.einsum("jayqxc,iyxc->jiaq", quarters, small)


def _split(kernel: Tensor) -> Tensor:
    """The same with each output as its positive and, behind them all, its negative part."""
    return torch.cat([kernel, -kernel])


def _joined(kernel: Tensor) -> Tensor:
    """The same for inputs that come in such parts."""
    return torch.cat([kernel, -kernel], 1)


def _identity(channels: int) -> Tensor:
    return torch.eye(channels)[..., None, None]


def _fill(layer: Convolution, kernel: Tensor) -> None:
    """Put a kernel (outputs, inputs, h, w) in the middle of a layer's, for its first outputs and inputs."""
    outputs, inputs, size, _ = kernel.shape
    weight = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
    edge = (weight.shape[-1] - size) // 2
    weight[:outputs] = 0
    weight[:outputs, :inputs, edge : edge + size, edge : edge + size] = kernel
    if layer.bias is not None:
        layer.bias[:outputs] = 0


def _by_stride(half: nn.Module) -> tuple[list[Convolution], list[Convolution]]:
    """The convolutions of stride 2 and those of stride 1, in order, residual blocks apart."""
    layers = [layer for layer in half.children() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    return [m for m in layers if m.stride == (2, 2)], [m for m in layers if m.stride == (1, 1)]
