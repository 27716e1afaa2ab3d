"""The context model: integer networks that say of every code, from codes already known, how it is
distributed.

DC goes through the lattice: a small network per level, phase and colour sees the differences of 16 known
neighbours to their nearest four's mean, and the same of the colours before. AC keeps one running state per
block: every slice that becomes known adds a 3 x 3 convolution of its codes, and a head per pass reads scale
and mean off it. So each code is looked at once, and encoder, decoder and training take the same walk
(`walk`).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from barycode.images.lattice import NEAREST, NEIGHBOURS, Phase, base_places, phases, spread_base
from barycode.images.prediction import MEAN_UNIT, SCALE_UNIT, Prediction
from barycode.images.slices import DC_BANDS, SLICES, Shape, passes
from barycode.images.transform import BANDS
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

BASE_FAMILY = 0
DC_FAMILIES = 1  # first of six: (coarse, fine) x colour
AC_FAMILIES = DC_FAMILIES + 6
FAMILIES = AC_FAMILIES + len(SLICES)
# No entry is within 0.007 of where rounding turns, so every machine's logarithm gives the same integers.
LOUDNESS = tuple(round(8 * math.log2(1 + magnitude)) for magnitude in range(128))
LAST = (len(SLICES) - 1, SLICES[-1].passes - 1)  # nothing comes after it that could use its codes
LEVELS = {8: 0, 4: 0, 2: 1, 1: 2}  # stride -> set of networks
BASE_SCALE = (28, 22, 22)  # scale classes of the coarsest DC grid at the reference step, by colour


@dataclass(frozen=True)
class Step:
    """One vectorised call of the coder: codes (B, bands, places) of a family of tables, and what is said of
    them. Places come in patches of `dimension`, which is 1 for scalars.
    """

    bands: tuple[int, ...]
    places: Tensor
    family: int
    prediction: Prediction
    dimension: int = 1


Exchange = Callable[[Step], Tensor]


class DcContext(nn.Module):
    """Networks for the DC lattice."""

    def __init__(self, hidden: int = 48, second: int = 32) -> None:
        super().__init__()
        inputs = [NEIGHBOURS + colour * (NEIGHBOURS + 1) + 1 for colour in range(len(DC_BANDS))]
        self.networks = nn.ModuleList(
            _perceptron(inputs[colour], hidden, second, start=6.0)
            for _ in range(len(set(LEVELS.values())) * 2)
            for colour in range(len(DC_BANDS))
        )

    def predict(self, phase: Phase, estimate: Tensor, before: Tensor, octave: Tensor) -> Prediction:
        """`estimate` (B, places): the plane so far; `before` (B, colours before, places): the planes known
        already.
        """
        colour = before.shape[1]
        differences, nearest = _differences(estimate[:, phase.neighbours])
        features = [differences]
        for other in before.unbind(1):
            points = torch.cat([other[:, phase.neighbours], other[:, None, phase.places]], 1)
            features.append(_differences(points)[0])
        octaves = octave[:, None, None].expand(-1, 1, len(phase.places))
        x = torch.cat([*features, octaves], 1).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT).transpose(1, 2)
        network = self.networks[(LEVELS[phase.stride] * 2 + phase.kind) * len(DC_BANDS) + colour]
        scale, mean = _outputs(network(x))
        return Prediction(scale.transpose(1, 2), mean.transpose(1, 2) + nearest / NEAREST)


class AcContext(nn.Module):
    """A running state of `hidden` sums per block, and a head per pass; `patches` gives the shape of those
    slices that are coded in patches.
    """

    def __init__(self, hidden: int = 128, head: int = 64, patches: Mapping[int, Shape] | None = None) -> None:
        super().__init__()
        self.patches = dict(patches or {})
        self.start = nn.Parameter(torch.randn(hidden) * 0.1)
        self.octave = nn.Parameter(torch.zeros(hidden))
        self.dc = IntegerConvolution(len(DC_BANDS), hidden)
        self.slices = nn.ModuleList(IntegerConvolution(2 * len(s.bands), hidden) for s in SLICES)
        self.heads = nn.ModuleList(
            nn.ModuleList(_perceptron(hidden + 1, head, None, outputs=len(s.bands)) for _ in range(s.passes))
            for s in SLICES
        )
        self.dead_zone = nn.Parameter(torch.full((len(SLICES),), 0.65))

    def begin(self, dc: Tensor, octave: Tensor) -> Tensor:
        """The state (B, h, w, hidden) when only DC (B, h, w, 3) and the step's octave class (B,) are known"""
        start = round_through(self.start * 2 ** (2 * SHIFT - 2))
        start = start + round_through(self.octave * 2**SHIFT) * octave[:, None]
        return self.dc(dc.clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)) + start[:, None, None]

    def predict(self, index: int, part: int, state: Tensor, octave: Tensor) -> Prediction:
        """Scale and mean (B, places, bands) of slice `index`, pass `part`, from states (B, places, hidden)"""
        octaves = octave[:, None, None].expand(*state.shape[:2], 1)
        head = cast(nn.ModuleList, self.heads[index])[part]
        return Prediction(*_outputs(head(torch.cat([activate(state), octaves], -1))))

    def absorb(self, index: int, state: Tensor, codes: Tensor) -> Tensor:
        """The state once the codes (B, h, w, bands) of slice `index` are known (zeros where they are not).

        Members of code vectors count as the nearest whole code.
        """
        table = torch.tensor(LOUDNESS, dtype=codes.dtype, device=codes.device)
        loudness = table[(codes.abs() + 0.5).clamp(max=len(LOUDNESS) - 1).int()]
        return state + self.slices[index](torch.cat([codes.sign() * loudness, loudness], -1))


def walk(
    dc: DcContext, ac: AcContext, size: tuple[int, int, int], octave: Tensor, exchange: Exchange
) -> Tensor:
    """Visit every code in coding order and return them all, float (B, 192, h, w).

    `size` is (B, h, w); `octave` (B,) the integer octave class of the step. `exchange` is shown a step and
    returns its codes: an encoder writes the codes that it has, a decoder reads them, training adds up their
    cost.
    """
    batch, height, width = size
    planes = _walk_dc(dc, size, octave, exchange)
    codes = planes.new_zeros(batch, BANDS, height * width)
    codes[:, list(DC_BANDS)] = planes
    state = ac.begin(planes.transpose(1, 2).unflatten(1, (height, width)), octave)
    for index, known in enumerate(SLICES):
        state, values = _walk_slice(ac, index, state, octave, exchange)
        codes[:, list(known.bands)] = values
    return codes.unflatten(-1, (height, width))


def _walk_dc(dc: DcContext, size: tuple[int, int, int], octave: Tensor, exchange: Exchange) -> Tensor:
    batch, height, width = size
    planes = octave.new_zeros(batch, 0, height * width)
    for colour, band in enumerate(DC_BANDS):
        base = base_places(height, width)
        scale = BASE_SCALE[colour] - torch.div(octave, 2, rounding_mode="floor")
        scale = scale[:, None, None].expand(-1, 1, len(base))
        known = exchange(Step((band,), base, BASE_FAMILY, Prediction(scale, torch.zeros_like(scale))))
        plane = known[:, 0, spread_base(height, width)]
        for phase in phases(height, width):
            prediction = dc.predict(phase, plane, planes, octave)
            family = DC_FAMILIES + 2 * colour + (phase.stride == 1)
            values = exchange(Step((band,), phase.places, family, prediction))
            plane = plane.index_copy(1, phase.places, values[:, 0])
        planes = torch.cat([planes, plane[:, None]], 1)
    return planes


def _walk_slice(
    ac: AcContext, index: int, state: Tensor, octave: Tensor, exchange: Exchange
) -> tuple[Tensor, Tensor]:
    """The state after slice `index`, and its codes (B, bands, places)."""
    bands = SLICES[index].bands
    batch, height, width, _ = state.shape
    values = state.new_zeros(batch, len(bands), height * width)
    seen = state
    for number, parts in enumerate(
        passes((height, width), ac.patches.get(index, (1, 1)), SLICES[index].passes)
    ):
        for part in parts:
            places = part.places.to(state.device)
            prediction = ac.predict(index, number, seen.flatten(1, 2)[:, places], octave)
            turned = Prediction(prediction.scale.transpose(1, 2), prediction.mean.transpose(1, 2))
            step = Step(bands, places, AC_FAMILIES + index, turned, part.dimension)
            values = values.index_copy(2, places, exchange(step))
        if (index, number) != LAST:
            seen = ac.absorb(index, state, values.transpose(1, 2).unflatten(1, (height, width)))
    return seen, values


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


def check_exact(dc: DcContext, ac: AcContext) -> None:
    """Raise InvalidInputError unless no sum of these networks can leave float32's exact integers."""
    for part in (dc, ac.heads):
        for layer in part.modules():
            if isinstance(layer, IntegerLayer):
                layer.check_exact(ACTIVATION_LIMIT)
    worst = (ac.start.abs() * 2 ** (2 * SHIFT - 2) + ac.octave.abs() * 2**SHIFT * ACTIVATION_LIMIT).detach()
    for convolution, limit in [(ac.dc, WEIGHT_LIMIT), *((c, LOUDNESS[-1]) for c in ac.slices)]:
        worst = worst + cast(IntegerConvolution, convolution).integers().abs().sum((1, 2, 3)).detach() * limit
    check_sums(worst.max().item())


class Activation(nn.Module):
    def forward(self, total: Tensor) -> Tensor:
        return activate(total)


def _outputs(sums: Tensor) -> tuple[Tensor, Tensor]:
    scale, mean = (sums / 2**SHIFT).chunk(2, -1)
    return scale / SCALE_UNIT, mean / MEAN_UNIT


def _differences(points: Tensor) -> tuple[Tensor, Tensor]:
    """(B, n, places) -> four times each point less the sum of the nearest four, and that sum (B, 1,
    places).
    """
    nearest = points[:, :NEAREST].sum(1, keepdim=True)
    return NEAREST * points - nearest, nearest
