"""What functions accept: whole numbers and finite ones; anything else is one typed error."""

from __future__ import annotations

import math
from numbers import Integral, Real

from torch import Tensor

from barycode.errors import InvalidInputError


def whole(name: str, value: object, least: int = 1) -> int:
    """The whole number `value` >= least; InvalidInputError for anything else, truth values too."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InvalidInputError(f"`{name}` must be a whole number >= {least}, not {value!r}.")
    return int(value)


def first_stages(stages: object, available: int) -> int:
    """How many stages of a residual quantizer to use: all for None; InvalidInputError beyond those."""
    count = available if stages is None else whole("stages", stages)
    if count > available:
        raise InvalidInputError(f"There are {available} stages; {stages} cannot be used.")
    return count


def stage_indices(indices: Tensor, available: int) -> tuple[Tensor, ...]:
    """Of indices (..., stages), those of each of the first stages; InvalidInputError for another shape."""
    if indices.ndim == 0 or not 1 <= indices.shape[-1] <= available:
        raise InvalidInputError(
            f"The indices have shape {tuple(indices.shape)}, "
            f"expected (..., {available}), or those of the first stages."
        )
    return tuple(indices.unbind(-1))


def positive(name: str, value: object) -> float:
    """The finite number `value` > 0; InvalidInputError for anything else."""
    if not _is_finite(value) or float(value) <= 0:  # type: ignore[arg-type]
        raise InvalidInputError(f"`{name}` must be a finite number > 0, not {value!r}.")
    return float(value)  # type: ignore[arg-type]


def nonnegative(name: str, value: object) -> float:
    """The finite number `value` >= 0; InvalidInputError for anything else."""
    if not _is_finite(value) or float(value) < 0:  # type: ignore[arg-type]
        raise InvalidInputError(f"`{name}` must be a finite number >= 0, not {value!r}.")
    return float(value)  # type: ignore[arg-type]


def kind_of(value: object) -> str:
    """What was passed, for an error."""
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{type(value)}"


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
