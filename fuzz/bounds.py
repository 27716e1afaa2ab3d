"""What one execution may cost: seconds and bytes, a constant and a multiple of what goes in and out."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SECONDS, BYTES_PER_SECOND = 2.0, 2e5  # generous: other processes run beside the fuzzer
BYTES, FACTOR = 96 * 2**20, 600  # a byte of codes stands for 1024 numbers of up to 8 bytes, of 4096 pixels


class OverBoundError(AssertionError):
    """An execution took longer or more memory than its input and output allow."""


@dataclass(frozen=True)
class Cost:
    """What an execution took: seconds of this process, and bytes at its peak beyond those before it."""

    seconds: float
    peak: int


def measured(call: Callable[[], int], given: int) -> tuple[int, Cost]:
    """The result of a call, bytes that came out, and its cost; OverBoundError where that is too much.

    Exceptions of the call pass through after the same check, with nothing that came out.
    """
    _reset_peak()
    before, start, out = _memory("VmRSS"), time.process_time(), 0
    try:
        out = call()
    finally:
        cost = Cost(time.process_time() - start, max(_memory("VmHWM") - before, 0))
        _check(cost, given, out)
    return out, cost


def _check(cost: Cost, given: int, out: int) -> None:
    if cost.seconds > SECONDS + (given + out) / BYTES_PER_SECOND:
        raise OverBoundError(f"{cost.seconds:.1f} s for {given} bytes in and {out} out")
    if cost.peak > BYTES + FACTOR * (given + out):
        raise OverBoundError(f"{cost.peak:,} bytes of memory for {given} bytes in and {out} out")


def _reset_peak() -> None:
    with contextlib.suppress(OSError):  # Linux alone; elsewhere only time is bounded
        Path("/proc/self/clear_refs").write_text("5")


def _memory(field: str) -> int:
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return 1024 * int(text.split(f"{field}:")[1].split()[0])
