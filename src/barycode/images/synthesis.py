"""The decoder network: from codes to pixels, one network for every rate.

The quantization step is an input. Everything is a correction with a zero-initialised last layer on top of the
inverse lapped transform, so an untrained decoder *is* that transform and training can only improve on it.
The corrections may run in bfloat16; the transform itself, which carries the picture, always runs in float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from barycode.images.steps import REFERENCE_STEP
from barycode.images.transform import BANDS, Synthesis

CELL = 0.5  # a code is corrected within its cell: no input, however unlike the training photos, breaks up
REACH = 2.0  # of the pixel correction, in half steps


class Modulation(nn.Module):
    """FiLM: a scale and a shift per channel from the logarithm of the step (B,) in octaves around the
    reference.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2 * channels)

    def forward(self, x: Tensor, octaves: Tensor) -> Tensor:
        condition = torch.stack([octaves, octaves**2 / 2], -1)
        scale, shift = self.linear(condition)[:, :, None, None].chunk(2, 1)
        return x * (1 + scale) + shift


class ResidualBlock(nn.Module):
    """x + conv(relu(modulated conv(x))), starting as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = Modulation(channels)
        self.second = zero_initialised(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor, octaves: Tensor) -> Tensor:
        return x + self.second(functional.relu(self.modulation(self.first(x), octaves)))


def zero_initialised(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class PostFilter(nn.Module):
    """A light correction of the pixels at half resolution, where the borders of blocks can be seen."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(12, channels, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(channels) for _ in range(depth))
        self.leave = zero_initialised(nn.Conv2d(channels, 12, 3, padding=1))

    def forward(self, pixels: Tensor, octaves: Tensor) -> Tensor:
        """The correction of pixels (B, 3, H, W), in half steps."""
        x = functional.relu(self.enter(functional.pixel_unshuffle((pixels - 128) / 64, 2)))
        for block in self.blocks:
            x = block(x, octaves)
        return functional.pixel_shuffle(self.leave(x).clamp(-REACH, REACH), 2)


class Decoder(nn.Module):
    """Codes (B, 192, h, w) and their steps to RGB (B, 3, 8 h, 8 w), not yet rounded to bytes.

    Bands of code vectors are named in `whole`: their centers are centroids already.
    """

    cells: Tensor

    def __init__(
        self,
        channels: int = 128,
        depth: int = 5,
        post_channels: int = 32,
        post_depth: int = 2,
        whole: Sequence[int] = (),
    ) -> None:
        super().__init__()
        cells = torch.ones(BANDS, 1)
        cells[list(whole)] = 0
        self.register_buffer("cells", cells, persistent=False)
        self.shrink = nn.Parameter(torch.full((BANDS, 2), -0.05))
        self.enter = nn.Conv2d(2 * BANDS + 1, channels, 1)
        self.blocks = nn.ModuleList(ResidualBlock(channels) for _ in range(depth))
        self.leave = zero_initialised(nn.Conv2d(channels, BANDS, 3, padding=1))
        self.synthesis = Synthesis()
        self.post = PostFilter(post_channels, post_depth)

    def forward(self, codes: Tensor, steps: Tensor, step: Tensor, *, half: bool = False) -> Tensor:
        """`codes` in units of their step; `steps` (B, 192 or 1, h or 1, w or 1) of each code; `step` (B,)
        of the picture; `half`: corrections in bfloat16.
        """
        octaves = torch.log2(step / REFERENCE_STEP)
        steps = steps.expand_as(codes)
        plain = self.reconstruct(codes) * steps
        local = torch.log2(steps.mean(1, keepdim=True) / REFERENCE_STEP)
        features = [torch.tanh(codes / 2) * 2, plain.sign() * torch.log1p(plain.abs() / 16), local]
        with torch.autocast(codes.device.type, torch.bfloat16, enabled=half):
            x = functional.relu(self.enter(torch.cat(features, 1)))
            for block in self.blocks:
                x = block(x, octaves)
            correction = self.leave(x)
        pixels = self.synthesis(plain + correction.float().clamp(-CELL, CELL) * steps)
        with torch.autocast(codes.device.type, torch.bfloat16, enabled=half):
            correction = self.post(pixels, octaves)
        return pixels + correction.float() * (step[:, None, None, None] / 2)

    def reconstruct(self, codes: Tensor, bands: tuple[int, ...] | slice = slice(None)) -> Tensor:
        """Codes (B, bands, ...) moved to the centroid of their cell: a learned shift for magnitude 1 and
        for the rest.
        """
        shape = (-1, *[1] * (codes.ndim - 2))
        shrink = self.shrink * self.cells
        one, more = shrink[bands, 0].view(shape), shrink[bands, 1].view(shape)
        magnitude = codes.abs()
        shift = torch.where(magnitude < 1.5, one, more)
        return codes + codes.sign() * shift * (magnitude > 0.5)
