"""The quality scale: eight named points, and everything between them."""

import math
from numbers import Real

from barycode.errors import InvalidInputError

LOWEST, HIGHEST = 1.0, 8.0
DEFAULT_QUALITY = 5.0  # what photos are kept at


def step_index(quality: float, points: tuple[int, ...]) -> int:
    """The step index of a quality in 1 ... 8, linear between the model's eight points."""
    if not isinstance(quality, Real) or not math.isfinite(quality) or not LOWEST <= quality <= HIGHEST:
        raise InvalidInputError(
            f"The quality is {quality}: expected a number from 1 (smallest file) to 8 (visually lossless)."
        )
    quality = float(quality)
    below = min(int(quality), int(HIGHEST) - 1)
    low, high = points[below - 1], points[below]
    return round(low + (high - low) * (quality - below))
