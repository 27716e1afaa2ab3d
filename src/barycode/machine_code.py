"""Loops in machine code by numba, an extra."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

INSTALLED = find_spec("numba") is not None


def compiled(function: Callable[..., Any], *, fastmath: bool | set[str] = False) -> Any:
    """The function in machine code, made at its first call and kept where numba keeps it; where numba is."""
    njit = import_module("numba").njit
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no place can be written to
        return njit(**options)(function)
