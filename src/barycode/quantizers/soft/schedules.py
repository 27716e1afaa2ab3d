"""Annealing schedules as objects that are saved and resumed: `quantizer.anneal_to(schedule.step(gap))`."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod

from barycode.errors import InvalidInputError
from barycode.quantizers.core.arguments import positive, whole

logger = logging.getLogger(__name__)


class Schedule(ABC):
    """A positive number that moves once a step, such as sigma (rising) or a temperature (falling).

    Every step goes to the log at level DEBUG. `state_dict` holds what a resumed run needs to go on exactly as
    it would have; the rule's own constants belong to the recipe.
    """

    def __init__(self, start: float) -> None:
        self.value = positive("start", start)
        self.steps = 0

    def step(self, gap: float | None = None) -> float:
        """Move once, and return the new value. `gap` = loss(hard) - loss(soft) of one batch."""
        self.value = self.next_value(gap)
        self.steps += 1
        logger.debug("%s step %d: %g (gap %s)", type(self).__name__, self.steps, self.value, gap)
        return self.value

    @abstractmethod
    def next_value(self, gap: float | None) -> float:
        """The value after `steps` + 1 steps."""

    def state_dict(self) -> dict[str, float | None]:
        """Everything that changes over time, as plain numbers."""
        return {name: getattr(self, name) for name in self._state_names()}

    def load_state_dict(self, state: dict[str, float | None]) -> None:
        """Go on from a saved state; raises InvalidInputError where it is another schedule's."""
        if set(state) != set(self._state_names()):
            raise InvalidInputError(
                f"{type(self).__name__} needs the state {self._state_names()}, not {tuple(state)}."
            )
        for name, value in state.items():
            setattr(self, name, value)

    def _state_names(self) -> tuple[str, ...]:
        return ("value", "steps")


class ExponentialSchedule(Schedule):
    """sigma <- K_E sigma, up to (or, for K_E < 1, down to) `stop`."""

    def __init__(self, start: float, factor: float, *, stop: float | None = None) -> None:
        super().__init__(start)
        self.factor = positive("factor", factor)
        self.stop = None if stop is None else positive("stop", stop)

    def next_value(self, gap: float | None) -> float:
        following = self.value * self.factor
        if self.stop is None:
            return following
        return min(following, self.stop) if self.factor > 1 else max(following, self.stop)


class LinearSchedule(Schedule):
    """From `start` to `stop` in equal steps, `duration` of them; then it stays."""

    def __init__(self, start: float, stop: float, duration: int) -> None:
        super().__init__(start)
        self.start, self.stop = start, positive("stop", stop)
        self.duration = whole("duration", duration)

    def next_value(self, gap: float | None) -> float:
        fraction = min(1.0, (self.steps + 1) / self.duration)
        return (1 - fraction) * self.start + fraction * self.stop


class GapControlledSchedule(Schedule):
    """sigma <- sigma + K_G e_G(t), where e_G(t) = gap(t) - T / (T + t) gap(0)  (Agustsson et al. 2017).

    A gap above its decaying reference hardens the assignment faster; a gap below it lets go. sigma never
    falls below `minimum`.
    """

    def __init__(self, start: float, gain: float, time_scale: float, *, minimum: float = 1e-6) -> None:
        super().__init__(start)
        self.gain = positive("gain", gain)
        self.time_scale = positive("time_scale", time_scale)
        self.minimum = positive("minimum", minimum)
        self.first_gap: float | None = None

    def next_value(self, gap: float | None) -> float:
        """By the gap loss(hard) - loss(soft) of this step; InvalidInputError without one."""
        if gap is None or not math.isfinite(gap):
            raise InvalidInputError(
                f"GapControlledSchedule needs the finite gap loss(hard) - loss(soft) at each step, not {gap}."
            )
        if self.first_gap is None:
            self.first_gap = gap
        reference = self.time_scale / (self.time_scale + self.steps) * self.first_gap
        return max(self.minimum, self.value + self.gain * (gap - reference))

    def _state_names(self) -> tuple[str, ...]:
        return ("value", "steps", "first_gap")
