"""The walk as training takes it: codes are chosen as the encoder chooses them, and what they cost adds up.

Soft-to-hard: where `sigma` is given, the choice between the candidates of a code is also made softly,

    phi = softmax(-sigma (squared error + trade * bits)),

the soft assignment of the paper with the code length in its exponent, over the candidates instead of all
centers (the lattice has infinitely many). As sigma grows phi becomes the encoder's own rate-distortion
choice. Soft codes are sum(phi * candidates); the expected code length sum(phi * bits) is the rate that the
transform is trained with. Contexts always see hard codes.
"""

from typing import Protocol

import torch
from torch import Tensor

from barycode.images.choice import Options
from barycode.images.contexts import AC_FAMILIES, Step, walk
from barycode.images.model import ImageModel
from barycode.images.prediction import laplacian_bits
from barycode.images.transform import BANDS


class Chooses(Protocol):
    """What a trace asks of a `Chooser`."""

    trade: float

    def choose(self, ratio: Tensor, step: Step) -> Tensor: ...

    def options(self, ratio: Tensor, step: Step) -> Options: ...


class Trace:
    """One walk over a batch of coefficients (B, 192, h, w) with the pictures' steps and octave classes (B,).

    Afterwards: `places` (B, 1, h, w) step multipliers, `context_bits` (B,) under the Laplacian that trains
    the contexts, and of a soft walk `soft` (B, 192, h, w) codes, `rate_bits` (B,) expected bits,
    `hard_bits` (B,) of the chosen codes under the tables.
    """

    def __init__(
        self,
        model: ImageModel,
        coefficients: Tensor,
        step: Tensor,
        chooser: Chooses,
        sigma: float | None = None,
    ) -> None:
        self._model = model
        self._coefficients = coefficients
        self._step = step
        self._chooser = chooser
        self._sigma = sigma
        batch = len(coefficients)
        self._known = torch.zeros(batch, BANDS, coefficients[0, 0].numel())
        self._soft: list[tuple[tuple[int, ...], Tensor, Tensor]] = []
        self._steps = step[:, None, None].expand_as(self._known)
        self.places = coefficients.new_ones(batch, 1, *coefficients.shape[2:])
        self.context_bits = coefficients.new_zeros(batch)
        self.rate_bits = coefficients.new_zeros(batch)
        self.hard_bits = coefficients.new_zeros(batch)
        self.soft = coefficients

    def run(self, octave: Tensor) -> Tensor:
        """The chosen codes (B, 192, h, w)."""
        batch, _, height, width = self._coefficients.shape
        codes = walk(self._model.dc, self._model.ac, (batch, height, width), octave, self.exchange)
        soft = torch.zeros_like(self._known)
        for bands, places, values in self._soft:
            soft = _put(soft, bands, places, values)
        self.soft = soft.view_as(codes)
        return codes

    def exchange(self, step: Step) -> Tensor:
        if step.family == AC_FAMILIES + 1:
            self._measure()
        bands = list(step.bands)
        ratio = (self._coefficients.flatten(2)[:, bands] / self._steps[:, bands])[..., step.places]
        codes = self._choose(ratio, step)
        self._known = _put(self._known, step.bands, step.places, codes)
        self.context_bits = self.context_bits + laplacian_bits(
            codes.round(), step.prediction, self._dead_zone(step)
        ).sum((1, 2))
        return codes

    def _choose(self, ratio: Tensor, step: Step) -> Tensor:
        if self._sigma is None:
            with torch.no_grad():
                return self._chooser.choose(ratio, step)
        options = self._chooser.options(ratio, step)
        with torch.no_grad():
            codes = options.cheapest(self._chooser.trade)
            self.hard_bits = self.hard_bits + options.bits_of(codes).sum((1, 2))
        phi = torch.softmax(-self._sigma * (options.errors + self._chooser.trade * options.bits), 0)
        soft = (options.of_members(phi) * options.codes).sum(0)
        self._soft.append((step.bands, step.places, soft))
        self.rate_bits = self.rate_bits + (phi * options.bits).sum((0, 2, 3))
        return codes

    def _measure(self) -> None:
        policy = self._model.config.policy
        self.places = policy.measure(self._known.detach().view_as(self._coefficients), self._step)
        self._steps = (
            (self._step[:, None, None, None] * policy.combine(self.places)).flatten(2).expand_as(self._known)
        )

    def _dead_zone(self, step: Step) -> Tensor | float:
        return self._model.ac.dead_zone[step.family - AC_FAMILIES] if step.family >= AC_FAMILIES else 0.5


def _put(plane: Tensor, bands: tuple[int, ...], places: Tensor, values: Tensor) -> Tensor:
    rows = plane[:, list(bands)].index_copy(2, places, values)
    return plane.index_copy(1, torch.tensor(bands), rows)
