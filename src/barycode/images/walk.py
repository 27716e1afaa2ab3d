"""Coding order: one walk over all codes, which encoder, decoder and training take alike."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from barycode.images.contexts import AcContext, Contexts, DcContext
from barycode.images.lattice import BASE_STRIDE, GRAINS, UNIT, base_places, phases, spread_base
from barycode.images.prediction import CLASSES_AN_OCTAVE, SCALE_UNIT, Classes, Prediction
from barycode.images.slices import DC_BANDS, SLICES, passes
from barycode.images.transform import BLOCK
from barycode.rate.integer_network import floor_through

BASE_FAMILY = 0
DC_FAMILIES = 1  # first of six: (coarse, fine) x colour
AC_FAMILIES = DC_FAMILIES + 6  # the first of the slices
FAMILIES = AC_FAMILIES + len(SLICES)
BASE_SCALE = (28, 22, 22)  # scale classes of the coarsest DC grid at the reference step, by colour
DC_DEAD_ZONE = 0.6
# How much narrower a difference in grains is than one in steps, in scale classes.
_FINER = {
    stride: round(SCALE_UNIT * CLASSES_AN_OCTAVE * math.log2(grain / UNIT)) / SCALE_UNIT
    for stride, grain in GRAINS.items()
}
# Of each band, its place in coding order.
_WRITTEN = torch.from_numpy(np.argsort([*DC_BANDS, *(band for part in SLICES for band in part.bands)]))


@dataclass(frozen=True)
class Step:
    """One vectorised call of the coder: codes (B, bands, places) of a family of tables, and what is said of
    them. Places come in patches of `dimension`, which is 1 for scalars. A code c stands for the coefficient
    `origin` + `grain` c, in steps: AC has the origin 0 and the grain 1.
    """

    bands: tuple[int, ...]
    places: Tensor
    family: int
    prediction: Prediction
    dimension: int = 1
    origin: Tensor | float = 0.0
    grain: float = 1.0

    @property
    def is_chroma(self) -> bool:
        return self.bands[0] >= BLOCK**2

    @cached_property
    def classes(self) -> Classes:
        """What the entropy coder sees of the prediction."""
        return self.prediction.classes(self.family)


Exchange = Callable[[Step], Tensor]


def dead_zone(contexts: Contexts, family: int) -> Tensor | float:
    """The threshold of zero that the Laplacian of a family is trained with."""
    return contexts.ac.dead_zone[family - AC_FAMILIES] if family >= AC_FAMILIES else DC_DEAD_ZONE


def walk(contexts: Contexts, batch: int, size: tuple[int, int], octave: Tensor, exchange: Exchange) -> Tensor:
    """Visit every code in coding order and return what they stand for, float (B, 192, h, w) in steps: whole
    codes of AC (or members of code vectors), and DC in eighths.

    `size` is (h, w) in blocks; `octave` (B,) the integer octave class of the step. `exchange` is shown a step
    and returns its codes: an encoder writes the codes that it has, a decoder reads them, training adds up
    their cost.
    """
    planes = walk_dc(contexts.dc, batch, size, octave, exchange)
    parts = [planes / UNIT]
    state = contexts.ac.begin(planes.unflatten(-1, size), octave)
    for index in range(len(SLICES)):
        state, values = _walk_slice(contexts.ac, index, state, octave, exchange)
        parts.append(values)
    return torch.cat(parts, 1)[:, _WRITTEN.to(state.device)].unflatten(-1, size)


def walk_dc(dc: DcContext, batch: int, size: tuple[int, int], octave: Tensor, exchange: Exchange) -> Tensor:
    """The first part of the walk: the DC planes (B, 3, h w), in units."""
    height, width = size
    planes = octave.new_zeros(batch, 0, height * width)
    for colour in range(len(DC_BANDS)):
        base = base_places(height, width)
        scale = BASE_SCALE[colour] - torch.div(octave, 2, rounding_mode="floor")
        scale = scale[:, None, None].expand(-1, 1, len(base))
        known = _exchange_dc(colour, base, BASE_STRIDE, scale, torch.zeros_like(scale), exchange)
        plane = known[:, spread_base(height, width)]
        for phase in phases(height, width):
            scale, values = dc.predict(phase, plane, planes, octave)
            known = _exchange_dc(colour, phase.places, phase.stride, scale, values, exchange)
            plane = plane.index_copy(1, phase.places, known)
        planes = torch.cat([planes, plane[:, None]], 1)
    return planes


def _exchange_dc(
    colour: int, places: Tensor, stride: int, scale: Tensor, values: Tensor, exchange: Exchange
) -> Tensor:
    """The values (B, places) of a DC plane, in units: their prediction and the differences that are coded."""
    family = BASE_FAMILY if stride == BASE_STRIDE else DC_FAMILIES + 2 * colour + (stride == 1)
    origin = floor_through(values)
    mean = values - origin.detach()
    prediction = Prediction(scale - _FINER[stride], (mean - mean.detach()) / GRAINS[stride])
    step = Step((DC_BANDS[colour],), places, family, prediction, 1, origin / UNIT, GRAINS[stride] / UNIT)
    return (origin.detach() + GRAINS[stride] * exchange(step))[:, 0]


def _walk_slice(
    ac: AcContext, index: int, state: Tensor, octave: Tensor, exchange: Exchange
) -> tuple[Tensor, Tensor]:
    """The state after slice `index`, and its codes (B, bands, places)."""
    known = SLICES[index]
    height, width = state.shape[1:3]
    values = state.new_zeros(len(state), len(known.bands), height * width)
    seen = state
    cuts = passes((height, width), ac.patches.get(index, (1, 1)), known.passes)
    for number, parts in enumerate(cuts):
        for part in parts:
            places = part.places.to(state.device)
            prediction = ac.predict(index, number, seen.flatten(1, 2)[:, places], octave).transposed()
            step = Step(known.bands, places, AC_FAMILIES + index, prediction, part.dimension)
            values = values.index_copy(2, places, exchange(step))
        last = (index, number) == (len(SLICES) - 1, known.passes - 1)
        if not last and values.any():  # zeros add nothing
            seen = ac.absorb(index, state, values.transpose(1, 2).unflatten(1, (height, width)))
    return seen, values
