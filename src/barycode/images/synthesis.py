"""The decoder network: from codes to pixels, one network for every rate.

Codes become coefficients, the inverse lapped transform makes pixels of them, and a filter at half of the
resolution corrects these. The filter is told the step, what the codes around are, and where in its block a
pixel lies. Its last layer starts at zero, so an untrained decoder *is* the inverse transform. It takes
about 11,000 of the 13,000 multiplications a pixel and may run in bfloat16; the transform, which carries the
picture, always runs in float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from barycode.images.slices import DC_BANDS
from barycode.images.steps import REFERENCE_STEP
from barycode.images.transform import BANDS, BLOCK, Synthesis

REACH = 2.0  # of the correction, in half steps
CELLS = BLOCK // 2  # places of the filter a block


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
        return torch.addcmul(shift, x, 1 + scale)


class ResidualBlock(nn.Module):
    """x + conv(relu(modulated conv(x))), starting as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = Modulation(channels)
        self.second = zero_initialised(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor, octaves: Tensor) -> Tensor:
        return self.second(self.modulation(self.first(x), octaves).relu_()).add_(x)


def zero_initialised(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class PixelFilter(nn.Module):
    """Residual blocks over pixels folded two by two, 12 planes at half of the resolution.

    Around the picture, as far as its convolutions reach, the last row and column of pixels go on: zeros there
    would show as a frame.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(12, channels, 3, padding=1)
        self.codes = zero_initialised(nn.Conv2d(2 * BANDS + 1, channels, 1))
        self.places = nn.Parameter(torch.zeros(channels, CELLS, CELLS))
        self.blocks = nn.ModuleList(ResidualBlock(channels) for _ in range(depth))
        self.leave = zero_initialised(nn.Conv2d(channels, 12, 3, padding=1))
        self._around = -(-2 * (1 + depth) // CELLS)  # in blocks

    def forward(self, pixels: Tensor, features: Tensor, octaves: Tensor) -> Tensor:
        """The correction of pixels (B, 3, 8 h, 8 w), in half steps; `features` (B, 385, h, w) tell of the
        codes.
        """
        blocks = _extended(self.codes(features), self._around)
        folded = functional.pixel_unshuffle((pixels - 128) / 64, 2)
        x = self.enter(_extended(folded, self._around * CELLS))
        x = (x + self._known(blocks)).relu_()
        for block in self.blocks:
            x = block(x, octaves)
        cut = slice(self._around * CELLS, -self._around * CELLS)
        return functional.pixel_shuffle(self.leave(x)[..., cut, cut].clamp(-REACH, REACH), 2)

    def _known(self, blocks: Tensor) -> Tensor:
        """Of each cell, what is known of its block (B, C, h, w) and of its place in it: (B, C, 4 h, 4 w)."""
        places = self.places.to(blocks.dtype).permute(1, 2, 0).contiguous()[:, None]
        cells = blocks.permute(0, 2, 3, 1)[:, :, None, :, None] + places
        return cells.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def _extended(planes: Tensor, by: int) -> Tensor:
    extended = functional.pad(planes, (by, by, by, by), mode="replicate")  # float32, under autocast too
    return extended.to(planes.dtype, memory_format=torch.channels_last)  # as all convolutions want it


class Centroids(nn.Module):
    """Where in its cell each code of a band is decoded to: a learned shift for magnitude 1 and for the rest.

    Bands named in `whole` are centroids already.
    """

    cells: Tensor

    def __init__(self, bands: int, whole: Sequence[int] = ()) -> None:
        super().__init__()
        cells = torch.ones(bands, 1)
        cells[list(whole)] = 0
        self.register_buffer("cells", cells, persistent=False)
        self.shift = nn.Parameter(torch.full((bands, 2), -0.05))

    def forward(self, codes: Tensor, bands: tuple[int, ...] | Tensor | slice = slice(None)) -> Tensor:
        """Codes (B, bands, ...) of these bands, or (n,) of one band each, to points, in steps."""
        shape = (-1, *[1] * (codes.ndim - 2))
        shift = self.shift * self.cells
        one, more = shift[bands, 0].view(shape), shift[bands, 1].view(shape)
        magnitude = codes.abs()
        moved = torch.where(magnitude < 1.5, one, more)
        return codes + codes.sign() * moved * (magnitude > 0.5)


class Decoder(nn.Module):
    """Codes and their steps to RGB (B, 3, 8 h, 8 w), not yet rounded to bytes.

    Bands of code vectors are named in `whole`: their centers are centroids, as the values of DC are.
    """

    def __init__(self, channels: int = 32, depth: int = 2, whole: Sequence[int] = ()) -> None:
        super().__init__()
        self.centroids = Centroids(BANDS, [*DC_BANDS, *whole])
        self.synthesis = Synthesis()
        self.filter = PixelFilter(channels, depth)

    def forward(self, codes: Tensor, steps: Tensor, step: Tensor, *, half: bool = False) -> Tensor:
        """`codes` (B, 192, h, w) in units of their step; `steps` (B, 192 or 1, h or 1, w or 1) of each code;
        `step` (B,) of the picture; `half`: the filter in bfloat16.
        """
        octaves = torch.log2(step / REFERENCE_STEP)
        steps = steps.expand_as(codes)
        plain = self.centroids(codes) * steps
        pixels = self.synthesis(plain)
        local = torch.log2(steps.mean(1, keepdim=True) / REFERENCE_STEP)
        features = torch.cat(
            [torch.tanh(codes / 2) * 2, plain.sign() * torch.log1p(plain.abs() / 16), local], 1
        )
        with torch.autocast(codes.device.type, torch.bfloat16, enabled=half):
            correction = self.filter(pixels, features, octaves)
        return pixels + correction.float() * (step[:, None, None, None] / 2)

    def reconstruct(self, codes: Tensor, bands: tuple[int, ...] | Tensor) -> Tensor:
        """Codes (B, bands, places) of these bands, or (n,) of one band each, to points, in steps."""
        points: Tensor = self.centroids(codes, bands)
        return points
