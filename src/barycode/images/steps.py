"""Quantization steps: of a picture, of a band, and of a place.

A picture has one step, 50 * 2**(index / 32). Where a model asks for it, bands get steps of their own
(MS-SSIM wants high frequencies and chroma coarser), and blocks get steps that follow the activity of what
is decoded before them: the DC plane and the first two AC bands of luma. That needs no side information.
Steps never reach the entropy coder, so they may be floats: they only scale decoded integers.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from barycode.container.schema import Between
from barycode.errors import InvalidInputError
from barycode.images.transform import BLOCK, COLOURS

REFERENCE_STEP = 50.0
STEPS_AN_OCTAVE = 32
INDEX_RANGE = (-128, 127)
CLASSES_AN_OCTAVE = 8  # what the context networks are told of the step

Multiplier = Annotated[float, Between(2**-6, 2**6)]


def step_of(index: int) -> float:
    """The step of an index, in coefficient units (a coefficient has the scale of 8-bit pixels times 8)."""
    return REFERENCE_STEP * 2.0 ** (index / STEPS_AN_OCTAVE)


def check_index(index: int) -> int:
    low, high = INDEX_RANGE
    if not low <= index <= high:
        raise InvalidInputError(f"The step index {index} is out of range: expected {low} to {high}.")
    return index


def octave_of(index: int) -> int:
    """The integer class of a step that the context networks see."""
    return index * CLASSES_AN_OCTAVE // STEPS_AN_OCTAVE


@dataclass(frozen=True)
class StepPolicy:
    """How steps vary within a picture; the default does not vary them, which is best for squared error.

    A block's step is the picture's times ((activity + offset) / pivot) ** exponent, clipped; a band's grows
    by `growth` per unit of frequency and by `chroma` for the two colour planes. DC and the first two AC
    bands of luma keep the picture's step, since activity is measured on them.
    """

    exponent: Annotated[float, Between(0, 4)] = 0.0
    growth: Annotated[float, Between(0, 4)] = 0.0
    chroma: Annotated[float, Between(2**-6, 2**6)] = 1.0
    offset: Annotated[float, Between(0, 2**10)] = 3.0
    pivot: Annotated[float, Between(2**-6, 2**10)] = 14.0
    clip: tuple[Multiplier, Multiplier] = (0.35, 3.0)

    @property
    def is_uniform(self) -> bool:
        return self.exponent == 0 and self.growth == 0 and self.chroma == 1

    def bands(self) -> Tensor:
        """(192,) multipliers, in the order of the coefficients."""
        u, v = torch.arange(BLOCK)[:, None], torch.arange(BLOCK)
        grown = (1 + self.growth * (u + v)).expand(COLOURS, -1, -1).clone()
        grown[1:] *= self.chroma
        return torch.where(_measured(), 1.0, grown.flatten())

    def places(self, dc: Tensor, first: Tensor, step: Tensor) -> Tensor:
        """(B, 1, h, w) multipliers from the luma codes of DC (B, 1, h, w) and of its two neighbours (B, 2,
        h, w).
        """
        unit = step[:, None, None, None] / BLOCK
        plane, slopes = dc * unit, first * unit
        variance = _mean3(plane**2) - _mean3(plane) ** 2
        activity = torch.sqrt(variance.clamp(min=0) + _mean3((slopes**2).sum(1, keepdim=True)))
        return ((activity + self.offset) / self.pivot).pow(self.exponent).clamp(*self.clip)

    def combine(self, places: Tensor) -> Tensor:
        """Multipliers of every code: of places (B, 1, h, w) to (B, 192, h, w)."""
        if self.is_uniform:
            return places
        return torch.where(_measured()[:, None, None], 1.0, self.bands().to(places)[:, None, None] * places)

    def measure(self, codes: Tensor, step: Tensor) -> Tensor:
        """The multiplier (B, 1, h, w) of every place, from the codes (B, 192, h, w) and the picture's step
        (B,).
        """
        if self.is_uniform:
            return codes.new_ones(codes.shape[0], 1, *codes.shape[2:])
        return self.places(codes[:, :1], codes[:, [1, BLOCK]], step)


def _measured() -> Tensor:
    """(192,) bool: the bands that are written before activity is known."""
    known = torch.zeros(COLOURS, BLOCK, BLOCK, dtype=torch.bool)
    known[:, 0, 0] = known[0, 0, 1] = known[0, 1, 0] = True
    return known.flatten()


def _mean3(x: Tensor) -> Tensor:
    return functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
