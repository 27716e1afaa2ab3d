"""Integer networks that say of every code, from codes already known, how it is distributed.

DC goes through the lattice: a small network per level, phase and colour sees the differences of 16 known
neighbours to their nearest four's mean, and the same of the colours before. AC keeps one running state per
block: every slice that becomes known adds a 3 x 3 convolution of its codes, and a head per pass reads scale
and mean off it. So each code is looked at once.
"""

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from barycode.images.lattice import NEAREST, NEIGHBOURS, UNIT, Phase
from barycode.images.prediction import MEAN_UNIT, SCALE_UNIT, Prediction
from barycode.images.slices import SLICES, Shape
from barycode.images.transform import COLOURS
from barycode.rate.integer_network import (
    ACTIVATION_LIMIT,
    SHIFT,
    WEIGHT_LIMIT,
    IntegerConvolution,
    IntegerLayer,
    activate,
    check_sums,
    round_through,
)

HEAD = 64  # hidden units of a head
# No entry is within 0.007 of where rounding turns, so every machine's logarithm gives the same integers.
LOUDNESS = torch.tensor([round(8 * math.log2(1 + magnitude)) for magnitude in range(128)]).float()
LEVELS = {8: 0, 4: 0, 2: 1, 1: 2}  # stride -> set of networks


class DcContext(nn.Module):
    """Networks for the DC lattice."""

    def __init__(self, hidden: int = 48, second: int = 32) -> None:
        super().__init__()
        inputs = [NEIGHBOURS + colour * (NEIGHBOURS + 1) + 1 for colour in range(COLOURS)]
        self.networks = nn.ModuleList(
            _perceptron(inputs[colour], hidden, second, start=6.0)
            for _ in range(len(set(LEVELS.values())) * 2)
            for colour in range(COLOURS)
        )

    def predict(
        self, phase: Phase, estimate: Tensor, before: Tensor, octave: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The scale class (B, 1, places) of the differences in steps, and the predicted values (B, 1, places)
        in whole units, from the plane so far, `estimate` (B, h w), and the planes known already, `before`
        (B, colours, h w), in units.
        """
        colour = before.shape[1]
        differences, nearest = _differences(estimate[:, phase.neighbours])
        features = [differences]
        for other in before.unbind(1):
            points = torch.cat([other[:, phase.neighbours], other[:, None, phase.places]], 1)
            features.append(_differences(points)[0])
        octaves = octave[:, None, None].expand(-1, 1, len(phase.places))
        x = torch.cat([*features, octaves], 1).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT).transpose(1, 2)
        network = self.networks[(LEVELS[phase.stride] * 2 + phase.kind) * COLOURS + colour]
        scale, mean = _outputs(network(x))
        values = mean.transpose(1, 2) * UNIT + nearest / NEAREST
        return scale.transpose(1, 2), values


class AcContext(nn.Module):
    """A running state of `hidden` sums per block, and a head per pass; `patches` gives the shape of those
    slices that are coded in patches.
    """

    def __init__(self, hidden: int = 128, patches: Mapping[int, Shape] | None = None) -> None:
        super().__init__()
        self.patches = dict(patches or {})
        self.start = nn.Parameter(torch.randn(hidden) * 0.1)
        self.octave = nn.Parameter(torch.zeros(hidden))
        self.dc = IntegerConvolution(COLOURS, hidden)
        self.slices = nn.ModuleList(IntegerConvolution(2 * len(s.bands), hidden) for s in SLICES)
        self.heads = nn.ModuleList(
            nn.ModuleList(_perceptron(hidden + 1, HEAD, None, outputs=len(s.bands)) for _ in range(s.passes))
            for s in SLICES
        )
        self.dead_zone = nn.Parameter(torch.full((len(SLICES),), 0.65))

    def begin(self, dc: Tensor, octave: Tensor) -> Tensor:
        """The state (B, h, w, hidden) when only DC (B, 3, h, w), in units, and the step's octave class (B,)
        are known: DC goes in as differences to the mean of its neighbourhood.
        """
        start = round_through(self.start * 2 ** (2 * SHIFT - 2))
        start = start + round_through(self.octave * 2**SHIFT) * octave[:, None]
        around = functional.pad(dc, (1, 1, 1, 1), mode="replicate")
        total = functional.avg_pool2d(around, 3, 1, divisor_override=1)
        differences = torch.floor((9 * dc - total) / (8 * UNIT)).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)
        return self.dc(differences.permute(0, 2, 3, 1)) + start[:, None, None]

    def predict(self, index: int, part: int, state: Tensor, octave: Tensor) -> Prediction:
        """Scale and mean (B, places, bands) of slice `index`, pass `part`, from states (B, places, hidden)"""
        octaves = octave[:, None, None].expand(*state.shape[:2], 1)
        head = cast(nn.ModuleList, self.heads[index])[part]
        return Prediction(*_outputs(head(torch.cat([activate(state), octaves], -1))))

    def absorb(self, index: int, state: Tensor, codes: Tensor) -> Tensor:
        """The state once the codes (B, h, w, bands) of slice `index` are known (zeros where they are not).

        Members of code vectors count as the nearest whole code.
        """
        loudness = LOUDNESS.to(codes.device)[(codes.abs() + 0.5).clamp_(max=len(LOUDNESS) - 1).int()]
        return state + self.slices[index](torch.cat([codes.sign() * loudness, loudness], -1))

    def check_exact(self) -> None:
        """Raise InvalidInputError unless no sum can leave float32's exact integers."""
        _check_layers(self.heads)
        worst = self.start.abs() * 2 ** (2 * SHIFT - 2) + self.octave.abs() * 2**SHIFT * ACTIVATION_LIMIT
        for convolution, limit in [(self.dc, WEIGHT_LIMIT), *((c, LOUDNESS[-1].item()) for c in self.slices)]:
            worst = worst + cast(IntegerConvolution, convolution).integers().abs().sum((1, 2, 3)) * limit
        check_sums(worst.max().item())


class Contexts(nn.Module):
    """All context networks of a model."""

    def __init__(self, hidden: int = 128, patches: Mapping[int, Shape] | None = None) -> None:
        super().__init__()
        self.dc = DcContext()
        self.ac = AcContext(hidden, patches)

    @torch.no_grad()
    def check_exact(self) -> None:
        """Raise InvalidInputError unless no sum of these networks can leave float32's exact integers."""
        _check_layers(self.dc)
        self.ac.check_exact()


def _check_layers(part: nn.Module) -> None:
    for layer in part.modules():
        if isinstance(layer, IntegerLayer):
            layer.check_exact(ACTIVATION_LIMIT)


def _perceptron(
    inputs: int, hidden: int, second: int | None, *, outputs: int = 1, start: float = 1.6
) -> nn.Module:
    layers: list[nn.Module] = [IntegerLayer(inputs, hidden, spread=0.5), Activation()]
    if second is not None:
        layers += [IntegerLayer(hidden, second, spread=0.7), Activation()]
    last = IntegerLayer(second or hidden, 2 * outputs, spread=0.1)
    with torch.no_grad():
        last.bias[:outputs] = start
    return nn.Sequential(*layers, last)


class Activation(nn.Module):
    def forward(self, total: Tensor) -> Tensor:
        return activate(total)


def _outputs(sums: Tensor) -> tuple[Tensor, Tensor]:
    scale, mean = sums.chunk(2, -1)
    return scale / (2**SHIFT * SCALE_UNIT), mean / (2**SHIFT * MEAN_UNIT)


def _differences(points: Tensor) -> tuple[Tensor, Tensor]:
    """Values (B, n, places) in units -> each value less the mean of the nearest four, in whole units, and the
    sum of the four (B, 1, places).
    """
    nearest = points[:, :NEAREST].sum(1, keepdim=True)
    return torch.floor((NEAREST * points - nearest) / NEAREST), nearest
