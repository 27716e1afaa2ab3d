"""The encoder's choice of codes: distortion + rate_weight * code length, place by place, in coding order.

The contexts of a code are the codes chosen before it, so the code length that is weighed here is the one
that is paid. What a code does to the contexts after it is left out; but errors of coarse DC count in their
own, finer grains, since all that is predicted from them leans on them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from barycode.images.prediction import LIMIT, Classes
from barycode.images.vectors import VectorSlice
from barycode.images.walk import Step

CERTAIN = 0.3  # coefficient / step whose code is zero wherever contexts expect no other

Bands = tuple[int, ...] | Tensor  # of codes (B, bands, places), or of each of codes (n,)
Reconstruct = Callable[[Tensor, Bands], Tensor]  # codes of these bands to points


def code_bits(codes: Tensor, classes: Classes, lengths: Tensor) -> Tensor:
    """Bits of each code under its table, low bits included; `lengths` (rows, 2 LIMIT + 1) in bits, escapes
    priced like their code.
    """
    symbols, _ = classes.split(classes.symbols(codes.int()))
    inside = symbols.clamp(-LIMIT, LIMIT)
    bits = lengths[classes.row, inside + LIMIT] + classes.low
    excess = symbols.abs() - LIMIT
    if not (excess >= 0).any():
        return bits
    return bits + torch.where(excess >= 0, 2 * torch.log2(excess.clamp(min=0) + 1.0).floor() + 1, 0.0)


def candidates(ratio: Tensor) -> Tensor:
    """(3, ...) codes worth considering for coefficient / step: both neighbours, and zero."""
    far = ratio.sign() * ratio.abs().ceil()
    near = far - ratio.sign()
    return torch.stack([far, near, torch.zeros_like(far)])


class Chooser:
    """Chooses codes (B, bands, places) for coefficients given what is predicted of them.

    `lengths` (rows, 2 LIMIT + 1) bits of every table; `rate_weight` is lambda: squared error in steps that
    one bit is worth; `vectors` gives the code vectors of those families that have any.
    """

    def __init__(
        self,
        lengths: Tensor,
        reconstruct: Reconstruct,
        rate_weight: float,
        vectors: Mapping[int, VectorSlice] | None = None,
    ) -> None:
        self.rate_weight = rate_weight
        self._lengths = lengths
        self._reconstruct = reconstruct
        self._vectors = vectors or {}

    def choose(self, ratio: Tensor, step: Step, weight: Tensor | None = None) -> Tensor:
        """The codes for coefficients / step, whose squared errors count by `weight` (B, bands, places)."""
        if step.dimension > 1:
            options = self.options(ratio, step)
            return (options if weight is None else options.weighted(weight)).cheapest(self.rate_weight)
        codes = ratio.new_zeros(ratio.numel())
        open_places = (
            ((ratio.abs() > CERTAIN) | (step.prediction.mean.abs() > CERTAIN)).flatten().nonzero()[:, 0]
        )
        if not len(open_places):
            return codes.view_as(ratio)
        bands = torch.tensor(step.bands, device=ratio.device)[open_places // ratio.shape[2] % ratio.shape[1]]
        options = self._scalars(ratio.flatten()[open_places], bands, step.classes.at(open_places))
        if weight is not None:
            options = options.weighted(weight.expand_as(ratio).flatten()[open_places])
        codes[open_places] = options.cheapest(self.rate_weight)
        return codes.view_as(ratio)

    def options(self, ratio: Tensor, step: Step) -> "Options":
        """What there is to choose from; gradients reach `ratio`, centroids and code vectors."""
        scalars = self._scalars(ratio, step.bands, step.classes)
        return scalars if step.dimension == 1 else self._or_vectors(ratio, step, scalars)

    def _scalars(self, ratio: Tensor, bands: Bands, classes: Classes) -> "Options":
        codes = candidates(ratio.detach())
        bits = torch.stack([code_bits(option, classes, self._lengths) for option in codes])
        return Options(codes, self._errors(ratio, codes, bands), bits)

    def _or_vectors(self, ratio: Tensor, step: Step, scalars: "Options") -> "Options":
        """Code vectors, or the escape and the scalars that would be chosen."""
        codes, bits, escape = self._vectors[step.family].options(ratio, step, self.rate_weight)
        errors = self._errors(ratio, codes, step.bands)
        best = (scalars.errors + self.rate_weight * scalars.bits).argmin(0, keepdim=True)
        alone = [values.take_along_dim(best, 0) for values in (scalars.codes, scalars.errors, scalars.bits)]
        return Options(
            torch.cat([codes, alone[0]]),
            torch.cat([errors, alone[1]]).unflatten(-1, (-1, step.dimension)).sum(-1),
            torch.cat([bits, alone[2].unflatten(-1, (-1, step.dimension)).sum(-1) + escape]),
        )

    def _errors(self, ratio: Tensor, codes: Tensor, bands: Bands) -> Tensor:
        points = torch.stack([self._reconstruct(option, bands) for option in codes])
        return (ratio - points) ** 2


@dataclass(frozen=True)
class Options:
    """Codes (C, B, bands, n d) to choose from, and of each patch of d the squared error in steps and the
    bits, (C, B, bands, n).
    """

    codes: Tensor
    errors: Tensor
    bits: Tensor

    @property
    def dimension(self) -> int:
        return self.codes.shape[-1] // max(1, self.bits.shape[-1])

    def weighted(self, weight: Tensor) -> "Options":
        """The same, with errors that count by a weight (B, bands, n d) of every member."""
        of_patches = weight.unflatten(-1, (-1, self.dimension)).mean(-1)
        return Options(self.codes, self.errors * of_patches, self.bits)

    def cheapest(self, rate_weight: float) -> Tensor:
        """The codes (B, bands, n d) of least squared error + rate_weight * bits."""
        costs = self.of_members(self.errors + rate_weight * self.bits)
        best, least = self.codes[0], costs[0]
        for option, cost in zip(
            self.codes[1:], costs[1:], strict=True
        ):  # far faster than argmin along the first axis
            best, least = torch.where(cost < least, option, best), torch.minimum(cost, least)
        return best

    def of_members(self, patches: Tensor) -> Tensor:
        """Values (..., n) of patches as values (..., n d) of their members."""
        return patches if self.dimension == 1 else patches.repeat_interleave(self.dimension, -1)

    def bits_of(self, codes: Tensor) -> Tensor:
        """Bits (B, bands, n) of codes (B, bands, n d) that are among the options."""
        same = (self.codes == codes).unflatten(-1, (-1, self.dimension)).all(-1)
        return torch.where(same, self.bits, torch.inf).amin(0)
