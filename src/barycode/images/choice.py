"""The encoder's choice of codes: distortion + trade * code length, one place at a time, in coding order.

The contexts of a code are the codes chosen before it, so the code length that is weighed here is the one
that is paid. What a code does to the contexts after it is left out.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from barycode.images.contexts import Step
from barycode.images.prediction import LIMIT, Classes

Reconstruct = Callable[
    [Tensor, tuple[int, ...]], Tensor
]  # codes (B, bands, places) of these bands to code units


def code_bits(codes: Tensor, classes: Classes, lengths: Tensor) -> Tensor:
    """Bits of each code under its table; `lengths` (rows, 2 LIMIT + 1) in bits, escapes priced like their
    code.
    """
    symbols = classes.symbols(codes.int())
    inside = symbols.clamp(-LIMIT, LIMIT)
    excess = symbols.abs() - LIMIT
    escape = torch.where(excess >= 0, 2 * torch.log2(excess.clamp(min=0) + 1.0).floor() + 1, 0.0)
    return lengths[classes.row, (inside + LIMIT).long()] + escape


def candidates(ratio: Tensor) -> Tensor:
    """(3, ...) codes worth considering for coefficient / step: both neighbours, and zero."""
    far = ratio.sign() * ratio.abs().ceil()
    near = far - ratio.sign()
    return torch.stack([far, near, torch.zeros_like(far)])


class Chooser:
    """Chooses codes (B, bands, places) for coefficients given what is predicted of them.

    `lengths` (rows, 2 LIMIT + 1) bits of every table; `trade` is lambda: squared error in steps that one
    bit is worth.
    """

    def __init__(self, lengths: Tensor, reconstruct: Reconstruct, trade: float) -> None:
        self.trade = trade
        self._lengths = lengths
        self._reconstruct = reconstruct

    def options(self, ratio: Tensor, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """The candidate codes (3, B, bands, places), their squared errors in steps, and their bits."""
        options = candidates(ratio)
        classes = step.prediction.classes(step.family)
        bits = torch.stack([code_bits(option, classes, self._lengths) for option in options])
        return options, (ratio - self.points(options, step)) ** 2, bits

    def points(self, options: Tensor, step: Step) -> Tensor:
        """Where the candidates are reconstructed, in steps."""
        return torch.stack([self._reconstruct(option, step.bands) for option in options])

    def choose(self, ratio: Tensor, step: Step) -> Tensor:
        options, errors, bits = self.options(ratio, step)
        costs = errors + self.trade * bits
        best, least = options[0], costs[0]
        for option, cost in zip(
            options[1:], costs[1:], strict=True
        ):  # far faster than argmin along the first axis
            best, least = torch.where(cost < least, option, best), torch.minimum(cost, least)
        return best
