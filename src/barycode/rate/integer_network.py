"""Networks whose every value is an integer, so that they compute the same on every machine.

Weights are integers of at most 8 bits, activations of at most 7, and sums stay below 2**24, where float32
holds every integer exactly. An ordinary matrix product in any order, with any number of threads, on any
device, then gives the same result. Training sees the same rounding with straight-through gradients (the
weights are kept as floats beside it), so the network that is trained is the network that decodes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from barycode.errors import InvalidInputError

SHIFT = 7  # a stored weight w counts as w / 2**SHIFT
WEIGHT_LIMIT = 127
ACTIVATION_LIMIT = 127
EXACT_LIMIT = 2**24  # integers below this are exact in float32


def round_through(x: Tensor) -> Tensor:
    """round(x) with the gradient of the identity."""
    return x + (x.round() - x).detach() if x.requires_grad else x.round()


def floor_through(x: Tensor) -> Tensor:
    """floor(x) with the gradient of the identity."""
    return x + (x.floor() - x).detach() if x.requires_grad else x.floor()


def activate(total: Tensor) -> Tensor:
    """max(0, total >> SHIFT), at most ACTIVATION_LIMIT; gradients as if the shift were a division."""
    scaled = total / 2**SHIFT
    if scaled.requires_grad:
        return floor_through(scaled).clamp(0, ACTIVATION_LIMIT)
    return scaled.floor_().clamp_(0, ACTIVATION_LIMIT)


def check_sums(worst: float) -> None:
    """Raise InvalidInputError unless sums of this size are exact in float32."""
    if not worst < EXACT_LIMIT:  # NaN is not below it
        raise InvalidInputError(
            f"An integer network can reach sums of {worst:.0f}, expected below {EXACT_LIMIT}: "
            "train it with smaller weights, or with fewer inputs."
        )


class IntegerLayer(nn.Module):
    """(..., inputs) integers held in floats -> (..., outputs) integer sums, not yet shifted.

    `weight` and `bias` are the trained floats in units of 2**-SHIFT; what counts is `integers()`.
    """

    def __init__(self, inputs: int, outputs: int, *, spread: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * (spread * (2.0 / inputs) ** 0.5))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def integers(self) -> tuple[Tensor, Tensor]:
        weight = round_through((self.weight * 2**SHIFT).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT))
        return weight, round_through(self.bias * 2 ** (2 * SHIFT - 2))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.integers()
        return x @ weight.T + bias

    def check_exact(self, input_limit: int) -> None:
        """Raise unless no sum can leave the range in which float32 is exact, for inputs up to
        `input_limit`.
        """
        weight, bias = self.integers()
        check_sums((weight.abs().sum(-1) * input_limit + bias.abs()).max().item())


class IntegerConvolution(nn.Module):
    """A 3 x 3 convolution of integers over (B, h, w, inputs), zero beyond the border, without bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) * 0.02)

    def integers(self) -> Tensor:
        return round_through((self.weight * 2**SHIFT).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.integers()
        if weight.requires_grad:
            return functional.conv2d(x.permute(0, 3, 1, 2), weight, padding=1).permute(0, 2, 3, 1)
        return _three_products(x, weight)


def _three_products(x: Tensor, weight: Tensor) -> Tensor:
    """The convolution as plain matrix products: a library's convolution may take transforms that are not
    exact.

    In a picture padded by one and flattened, what a row of the kernel sees is three runs of places side by
    side, and those of the next row are a row of places further on.
    """
    batch, height, width, _ = x.shape
    row = width + 2
    flat = functional.pad(x, (0, 0, 1, 1, 1, 2)).flatten(1, 2)  # one more row, so that every run is complete
    wide = torch.cat([flat[:, dx : dx + (height + 2) * row] for dx in range(3)], 2)
    kernel = weight.permute(2, 3, 1, 0).flatten(1, 2).expand(batch, -1, -1, -1)  # (B, 3, 3 inputs, outputs)
    total = wide[:, : height * row] @ kernel[:, 0]
    for dy in (1, 2):
        total.baddbmm_(wide[:, dy * row : (dy + height) * row], kernel[:, dy])
    return total.view(batch, height, row, -1)[:, :, :width]
