"""Sizes as people write them, and what became of them."""

import re

from barycode.cli.jobs import Job
from barycode.errors import InvalidInputError

GREW = "larger than it was: keep the original"

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", re.IGNORECASE)


def shown_size(size: int) -> str:
    """`932 B`, `310 kB`, `2.1 MB`."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"


def shown_change(job: Job, before: int, after: int) -> str:
    """`photo.jpg 2.1 MB -> photo.bary 310 kB`, of bytes."""
    return f"{job.source_name} {shown_size(before)} -> {job.target_name} {shown_size(after)}"


def read_size(text: str) -> int:
    """Bytes of `500000`, `500k`, `2.5GB`."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise InvalidInputError(f"The size {text!r} is not a number of bytes such as 500000, 500k or 2GB.")
    return int(float(found[1]) * _UNITS[found[2].lower()])
