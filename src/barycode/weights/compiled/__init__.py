"""Inner loops of the network codec in machine code, by numba, an extra: the same bytes, in less time.

All that is here has its like in `entropy_coding` and `quantization`; what is small stays there, since numba
has to be imported and the loops compiled once.
"""

from barycode.machine_code import INSTALLED

MANY = 2**19  # entries from which on it is worth it


def applies(entries: int) -> bool:
    """Whether so many entries are for machine code."""
    return INSTALLED and entries >= MANY
