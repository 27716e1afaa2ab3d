"""Codebooks that are fitted between the steps of the network (Huh et al. 2023)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from barycode.quantizers import Quantizer, gather


class Alternation:
    """Codebooks take `steps` steps of their own before each step of the network.

    Each minimises the codebook loss for the latents as they are, with fresh assignments, so that the network
    always sees a codebook that fits. The optimizer of the codebook is stochastic gradient descent with
    momentum; the network's optimizer never moves the codebook.
    """

    def __init__(
        self, quantizer: Quantizer, learning_rate: float, *, steps: int = 4, momentum: float = 0.9
    ) -> None:
        self.quantizer, self.steps = quantizer, steps
        self.optimizer = torch.optim.SGD(quantizer.parameters(), learning_rate, momentum=momentum)
        quantizer.requires_grad_(False)

    def fit(self, z: Tensor) -> None:
        """Take the steps, for latents (..., d) without gradient."""
        z = self.quantizer.checked(gather(z.reshape(-1, z.shape[-1])))  # every rank takes all of these steps
        self.quantizer.requires_grad_(True)
        for _ in range(self.steps):
            self.optimizer.zero_grad()
            self.quantizer.quantize(z).losses["codebook_loss"].backward()  # no pass that others watch
            self.optimizer.step()
        self.quantizer.requires_grad_(False)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return dict(self.optimizer.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.optimizer.load_state_dict(state)
