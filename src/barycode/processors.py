"""The processors of this machine."""

import os


def usable_processors() -> int:
    """How many this process may use, where the system says so: a container may have fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
