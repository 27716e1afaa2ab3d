"""What happens to a codebook around the steps of the network: averages, revival, annealing, alternation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers import (
    CodebookHealth,
    EmaUpdate,
    Quantized,
    Quantizer,
    Schedule,
    revive,
    sync,
)
from barycode.quantizers.codebook.ranks import gather


@dataclass(frozen=True)
class Step:
    """What is known after a step of the network: its number from 1, the latents (..., d), the result."""

    number: int
    z: Tensor
    result: Quantized
    optimizer: torch.optim.Optimizer


class Care:
    """One habit around each step of the network; this one does nothing.

    needs_latents: whether `before` does anything.
    """

    needs_latents = False

    def attach(self, quantizer: Quantizer) -> None:
        """Take the parameters that this habit moves away from the network's optimizer."""
        return

    def before(self, quantizer: Quantizer, z: Tensor) -> None:
        """Act on latents without gradient, before they are quantized."""
        return

    def after(self, quantizer: Quantizer, step: Step) -> None:
        """Act after the optimizer moved."""
        return

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        return


class MovingAverage(Care):
    """Codebooks follow the averages of their vectors (`EmaUpdate`) instead of a gradient."""

    def __init__(self, decay: float = 0.99) -> None:
        self.update = EmaUpdate(decay)

    def attach(self, quantizer: Quantizer) -> None:
        for codebook in quantizer.codebooks:
            codebook.requires_grad_(False)

    def after(self, quantizer: Quantizer, step: Step) -> None:
        self.update(quantizer, sync(quantizer.statistics(step.z, step.result.indices)))


class Revival(Care):
    """Every `every` steps, code vectors that nothing chose meanwhile move onto vectors that were to be coded.

    Each stage and each group of a composed quantizer is looked after by itself.
    """

    def __init__(self, every: int = 50) -> None:
        self.every = every
        self.healths: list[CodebookHealth] = []

    def after(self, quantizer: Quantizer, step: Step) -> None:
        sizes = [codebook.size for codebook in quantizer.codebooks]
        if not sizes:  # a grid
            return
        self.healths = self.healths or [CodebookHealth(size) for size in sizes]
        for health, part in zip(self.healths, quantizer.parts(step.result.indices), strict=True):
            health.update(gather(part.reshape(-1, 1)))
        if step.number % self.every == 0:
            z = gather(step.z.detach().reshape(-1, quantizer.dim))
            coded = quantizer.assigned(z, quantizer.encode(z))
            for health, (codebook, vectors, _) in zip(self.healths, coded, strict=True):
                revive(codebook, health.dead_codes, vectors, optimizer=step.optimizer)
                health.reset()

    def state_dict(self) -> dict[str, Any]:
        return {"histograms": [health.histogram for health in self.healths]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.healths = [CodebookHealth(len(histogram)) for histogram in state["histograms"]]
        for health, histogram in zip(self.healths, state["histograms"], strict=True):
            health.histogram.copy_(histogram)


class Annealing(Care):
    """The quantizer's temperature, sigma or hardness follows a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def after(self, quantizer: Quantizer, step: Step) -> None:
        quantizer.anneal_to(self.schedule.step())  # type: ignore[operator]

    def state_dict(self) -> dict[str, Any]:
        return dict(self.schedule.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.schedule.load_state_dict(state)


class Alternation(Care):
    """Codebooks take `steps` steps of their own before each step of the network (Huh et al. 2023).

    Each minimises the codebook loss for the latents as they are, with fresh assignments, so that the network
    always sees a codebook that fits. The optimizer of the codebook is stochastic gradient descent with
    momentum; the network's optimizer never moves the codebook.
    """

    needs_latents = True

    def __init__(self, learning_rate: float, steps: int = 4, momentum: float = 0.9) -> None:
        self.learning_rate, self.steps, self.momentum = learning_rate, steps, momentum
        self.optimizer: torch.optim.Optimizer | None = None

    def attach(self, quantizer: Quantizer) -> None:
        self.optimizer = torch.optim.SGD(quantizer.parameters(), self.learning_rate, momentum=self.momentum)
        quantizer.requires_grad_(False)

    def before(self, quantizer: Quantizer, z: Tensor) -> None:
        if self.optimizer is None:
            raise InvalidInputError("Alternation was not attached to its quantizer before training.")
        z = gather(z.reshape(-1, z.shape[-1]))  # every rank takes all of these steps
        quantizer.requires_grad_(True)
        for _ in range(self.steps):
            self.optimizer.zero_grad()
            quantizer(z).losses["codebook_loss"].backward()
            self.optimizer.step()
        quantizer.requires_grad_(False)

    def state_dict(self) -> dict[str, Any]:
        return {} if self.optimizer is None else {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.optimizer is not None and "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
