"""The processors of this machine."""

import os


def usable_processors() -> int:
    """How many this process may use: fewer than there are in a container or a batch job. Not all systems say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
