"""The walk as training takes it: codes are chosen as the encoder chooses them, and what they cost adds up.

Soft-to-hard: where `sigma` is given, the choice between the candidates of a code is also made softly,

    phi = softmax(-sigma (squared error + rate_weight * bits)),

the soft assignment of the paper with the code length in its exponent, over the candidates instead of all
centers (the lattice has infinitely many). As sigma grows phi becomes the encoder's own rate-distortion
choice. Soft codes are sum(phi * candidates); the expected code length sum(phi * bits) is the rate that the
transform is trained with. Contexts always see hard codes.
"""

from typing import Protocol

import torch
from torch import Tensor

from barycode.images.model import ImageModel
from barycode.images.planes import put
from barycode.images.prediction import laplacian_bits
from barycode.images.rate_distortion import Options
from barycode.images.ratios import Ratios
from barycode.images.walk import AC_FAMILIES, Step, dead_zone, walk


class Chooses(Protocol):
    """What a trace asks of a `Chooser`."""

    rate_weight: float

    def choose(self, ratio: Tensor, step: Step) -> Tensor: ...

    def options(self, ratio: Tensor, step: Step) -> Options: ...


class Trace:
    """One walk over a batch of coefficients (B, 192, h, w) with the pictures' steps and octave classes (B,).

    Afterwards: `places` (B, 1, h, w) step multipliers; `context_bits` (B,) under the Laplacian that trains
    the contexts, and `dc_error` (B,), the squared error of DC in steps, which its predictions take part in;
    of a soft walk the `soft` codes (B, 192, h, w), `rate_bits` (B,) expected bits, `hard_bits` (B,) of the
    chosen codes under the tables.
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
        self._size = (coefficients.shape[2], coefficients.shape[3])
        self._ratios = Ratios(model.config.policy, coefficients, step)
        self._chooser = chooser
        self._sigma = sigma
        self._soft: list[tuple[Step, Tensor]] = []
        self.soft = coefficients
        self.context_bits = step.new_zeros(len(step))
        self.dc_error = step.new_zeros(len(step))
        self.rate_bits = step.new_zeros(len(step))
        self.hard_bits = step.new_zeros(len(step))

    @property
    def places(self) -> Tensor:
        return self._ratios.places

    def run(self, octave: Tensor) -> Tensor:
        """The chosen codes, DC in eighths."""
        codes = walk(self._model.contexts, len(octave), self._size, octave, self.exchange)
        if self._sigma is not None:
            soft = codes.flatten(2)
            for step, values in self._soft:
                soft = put(soft, step.bands, step.places, step.origin + step.grain * values)
            self.soft = soft.view_as(codes)
        return codes

    def exchange(self, step: Step) -> Tensor:
        ratio = self._ratios.of(step)
        codes = self._choose(ratio, step)
        self._ratios.know(step, codes)
        zone = dead_zone(self._model.contexts, step.family)
        bits = laplacian_bits(codes.round(), step.prediction, zone)
        self.context_bits = self.context_bits + bits.sum((1, 2))
        if step.family < AC_FAMILIES:
            self.dc_error = self.dc_error + ((step.grain * (ratio - codes)) ** 2).sum((1, 2))
        return codes

    def _choose(self, ratio: Tensor, step: Step) -> Tensor:
        if self._sigma is None:
            with torch.no_grad():
                return self._chooser.choose(ratio, step)
        options = self._chooser.options(ratio, step)
        with torch.no_grad():
            codes = options.cheapest(self._chooser.rate_weight)
            self.hard_bits = self.hard_bits + options.bits_of(codes).sum((1, 2))
        phi = torch.softmax(-self._sigma * (options.errors + self._chooser.rate_weight * options.bits), 0)
        self._soft.append((step, (options.of_members(phi) * options.codes).sum(0)))
        self.rate_bits = self.rate_bits + (phi * options.bits).sum((0, 2, 3))
        return codes
