"""The encoder looks at what the decoder makes of its codes, and chooses again.

What a tile costs is its squared error in steps + rate_weight * bits. With g the gradient of the error of the
decoded pixels with respect to the codes c, the choice of codes is made anew for coefficients that move
towards c - eta g / 2: for an orthonormal inverse and eta 1 that is where they started from, and what the
decoder network makes of codes moves them. It is a proximal gradient method (Parikh, Boyd, "Proximal
algorithms", 2014) whose proximal step is the choice of codes. The cheapest codes seen are kept, so more
rounds never cost more. Decoders know nothing of it.

Models whose steps follow activity were trained for structural similarity, of which such steps are too long:
they choose once more, with squared errors that count by what they cost in that measure (`curvature`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.images.curvature import structural_weights
from barycode.images.model import ImageModel
from barycode.images.scale_offsets import fit_offsets
from barycode.images.tile import EncodedTile, Setting, encode_tile
from barycode.images.transform import BLOCK
from barycode.images.windows import Window

ROUNDS = (0, 1, 2, 3, 4, 6, 8, 12, 18, 26)  # of each effort
DEFAULT_EFFORT = 3
STRIDE = 1.5  # eta: beyond one, since the decoder answers less than an orthonormal inverse
MIXING = 0.6  # of the new target with the one before, which damps what the strides overshoot

MOST_PROBES = 4  # of the curvature: more of them change little

# Decoded pixels and their weights: squared errors of the mean channel (B, ...) of the pixels that count.
ErrorOf = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class RefinedTile:
    """The cheapest encoding of a tile, and the squared errors, in steps, of its pixels that count, (rows,
    columns); None where nothing was decoded.
    """

    encoded: EncodedTile
    errors: Tensor | None = None


def rounds_of(effort: int) -> int:
    """The rounds of an effort from 0 to 9; raises InvalidInputError."""
    if not isinstance(effort, Integral) or not 0 <= effort < len(ROUNDS):
        raise InvalidInputError(
            f"The effort is {effort}: expected a whole number from 0 (quick) to {len(ROUNDS) - 1} (smallest)."
        )
    return ROUNDS[effort]


def refine_tile(
    model: ImageModel, window: Window, setting: Setting, rate_weight: float, rounds: int
) -> RefinedTile:
    """The cheapest encoding of a tile among the first choice of codes and `rounds` further ones."""
    coefficients = window.coefficients
    tile = encode_tile(model, coefficients, setting, rate_weight)
    best = RefinedTile(tile)
    if rounds == 0:
        return best
    offsets = fit_offsets(tile.written, model.code_lengths())
    if not model.config.policy.is_uniform:
        weights = structural_weights(model, window, tile.codes, setting, min(rounds, MOST_PROBES))
        return RefinedTile(encode_tile(model, coefficients, setting, rate_weight, offsets, weights))
    least = torch.inf

    def error_of(decoded: Tensor, weight: Tensor) -> Tensor:
        seen = decoded[:, 1:2].expand_as(decoded) if setting.grey else decoded
        squares = window.inside(seen - window.pixels.clone()) ** 2
        return squares.mean(1) * window.inside(weight * window.counted)[:, 0]

    def cost_of(tile: EncodedTile, errors: Tensor) -> float:
        return errors.sum().item() + rate_weight * 8 * len(tile.payload)

    for _ in range(rounds):
        errors, moved = proximal_step(model, *_known(model, tile.codes, setting), error_of)
        if (cost := cost_of(tile, errors)) < least:
            best, least = RefinedTile(tile, errors[0]), cost
        coefficients = torch.lerp(coefficients, moved[0], MIXING)
        tile = encode_tile(model, coefficients, setting, rate_weight, offsets)
    with torch.inference_mode():
        _, errors = decoded_errors(model, *_known(model, tile.codes, setting), error_of)
    return RefinedTile(tile, errors[0]) if cost_of(tile, errors) < least else best


def _known(model: ImageModel, codes: Tensor, setting: Setting) -> tuple[Tensor, Tensor, Tensor]:
    """What a decoder knows of a tile's codes (192, h, w): a batch of them, the step, and the multipliers."""
    step = setting.step()
    return codes[None], step, model.config.policy.measure(codes[None].clone(), step)


@torch.inference_mode(False)
@torch.enable_grad()
def proximal_step(
    model: ImageModel, codes: Tensor, step: Tensor, places: Tensor, error_of: ErrorOf
) -> tuple[Tensor, Tensor]:
    """The errors (B, ...) of what codes (B, 192, h, w) decode to, in their steps, and where the gradient of
    their sum moves the codes to, as coefficients. `step` (B,) and its multipliers `places` (B, 1, h, w).
    """
    given = codes.contiguous(memory_format=torch.channels_last).clone().requires_grad_()
    steps, errors = decoded_errors(model, given, step, places, error_of)
    (gradient,) = torch.autograd.grad(errors.sum(), given)
    return errors.detach(), (codes - STRIDE * gradient / 2) * steps


def decoded_errors(
    model: ImageModel, codes: Tensor, step: Tensor, places: Tensor, error_of: ErrorOf
) -> tuple[Tensor, Tensor]:
    """The steps of all codes, and the errors (B, ...) of what they decode to, in these steps."""
    steps = model.steps_of(step, places)
    decoded = model.decode(codes, steps, step).clamp(0, 255)
    weight = functional.interpolate(1 / (step[:, None, None, None] * places) ** 2, scale_factor=BLOCK)
    return steps, error_of(decoded, weight)
