"""Memory that was freed, given back to the system."""

import ctypes
import sys
from collections.abc import Callable
from functools import lru_cache


def give_back() -> None:
    """Return freed memory to the system, where the C library would keep it.

    glibc keeps what arrays of many sizes left, and those of the next stage find no place among them: decoding
    a picture of 12 megapixels needs 150 MB more without this, between its two stages. Not for inner loops: a
    page that is given back has to be asked for again.
    """
    _trim()(0)


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], object]:
    """glibc's malloc_trim(3), or nothing where there is none."""
    if not sys.platform.startswith("linux"):
        return lambda _: None
    trim: Callable[[int], object] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)
    return trim
