"""Coefficients in units of their steps, as a walk asks for them.

Where a model's steps follow activity, those of AC are known once DC and its first slice are.
"""

from torch import Tensor

from barycode.images.planes import put, take
from barycode.images.steps import StepPolicy
from barycode.images.walk import AC_FAMILIES, Step

ACTIVITY_KNOWN = AC_FAMILIES + 1  # before that family, everything that activity is measured on


class Ratios:
    """The coefficients (B, 192, h, w) of a batch over the pictures' steps (B,), in coding order.

    `places` (B, 1, h, w) is the step multiplier of every block, ones until it is known.
    """

    def __init__(self, policy: StepPolicy, coefficients: Tensor, step: Tensor) -> None:
        self._policy = policy
        self._shape = coefficients.shape
        self._coefficients = coefficients.flatten(2)
        self._step = step
        self._local: Tensor | None = None
        self._known = coefficients.detach().flatten(2) * 0
        self.places = coefficients.new_ones(len(coefficients), 1, *coefficients.shape[2:])

    def of(self, step: Step) -> Tensor:
        """What codes (B, bands, places) of a step would be without rounding: (coefficient / step - origin) /
        grain.
        """
        if step.family == ACTIVITY_KNOWN and not self._policy.is_uniform:
            self._measure()
        values = take(self._coefficients, step.bands, step.places)
        if self._local is None:
            values = values / self._step[:, None, None]
        else:
            values = values / take(self._local, step.bands, step.places)
        return (values - step.origin) / step.grain

    def know(self, step: Step, codes: Tensor) -> None:
        """Tell which codes (B, bands, places) a step had."""
        if self._policy.is_uniform or step.family >= ACTIVITY_KNOWN:
            return
        values = step.origin + step.grain * codes
        self._known = put(self._known, step.bands, step.places, values.detach())

    def _measure(self) -> None:
        self.places = self._policy.measure(self._known.view(self._shape), self._step)
        self._local = (self._step[:, None, None, None] * self._policy.combine(self.places)).flatten(2)
