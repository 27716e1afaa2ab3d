"""Loops in machine code by numba, an extra: what imports this module is imported where numba is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any], *, fastmath: bool | set[str] = False) -> Any:
    """The function in machine code, made at its first call and kept where numba keeps it."""
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no place can be written to
        return njit(**options)(function)
