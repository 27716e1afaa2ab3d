"""A rate that comes down to a goal during training, and stays there."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from barycode.weights.soft_to_hard.model import code_entropy, rate_loss

NEAR = 1.005  # times the ceiling: above it a bit gets dearer
DEARER = 1.03  # times the price, a step


class RateCeiling:
    """price * rate_loss wherever the codes have more entropy than a ceiling.

    The ceiling comes down from what the codes have to `goal` bits a weight in the first `ramp` of the run.
    The price is in units of loss a bit a weight. It rises by the factor `dearer` in each step in which the
    codes stay above the ceiling, and falls back; with 1 it is fixed.
    """

    def __init__(
        self, model: nn.Module, goal: float, *, ramp: float = 0.4, price: float = 1.0, dearer: float = DEARER
    ) -> None:
        self.goal, self.ramp, self.dearer = goal, ramp, dearer
        self.price = self.least = price
        self.first = self.now = code_entropy(model)

    def loss(self, model: nn.Module, done: float) -> Float[Tensor, ""]:
        """What is added to the loss when the fraction `done` of the run is over."""
        self.now = code_entropy(model)
        ceiling = self.first + min(1.0, done / self.ramp) * (self.goal - self.first)
        above = self.now > NEAR * ceiling
        self.price = self.price * self.dearer if above else max(self.least, self.price / self.dearer)
        if self.now <= ceiling:
            return torch.zeros((), device=next(model.parameters()).device)
        return self.price * rate_loss(model)

    def state_dict(self) -> dict[str, float]:
        return {"first": self.first, "goal": self.goal, "price": self.price}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.first, self.goal, self.price = state["first"], state["goal"], state["price"]
