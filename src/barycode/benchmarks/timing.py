"""Times of methods that take turns, as ratios: whatever else the machine does hits all of them alike."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

Method = Callable[[], object]
Times = dict[str, list[float]]


def take_turns(methods: Mapping[str, Method], rounds: int) -> Times:
    """Seconds of each method in each round, after one round that does not count.

    With one thread it is the process's own time, which a busy machine disturbs less than the wall's.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: Times = {name: [] for name in methods}
    for turn in range(rounds + 1):
        for name, method in methods.items():
            start = clock()
            method()
            if turn:
                times[name].append(clock() - start)
    return times


def ratios(times: Times, reference: str) -> dict[str, list[float]]:
    """[median, lower quartile, upper quartile] of the others' times over the reference's, round by round."""
    return {
        name: quartiles([value / own for value, own in zip(values, times[reference], strict=True)])
        for name, values in times.items()
        if name != reference
    }


def quartiles(values: list[float]) -> list[float]:
    """[median, lower quartile, upper quartile], to three digits."""
    low, middle, high = statistics.quantiles(values, n=4)
    return [float(f"{value:.3g}") for value in (middle, low, high)]


def peak_megabytes(method: Method) -> float:
    """By how much the method raises the resident memory above what it finds, at its highest (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    method()
    return round((_resident("VmHWM") - before) / 1024, 1)


@dataclass(frozen=True)
class ProcessCost:
    """Processor time and peak of resident memory of a whole process, and the status it ended with."""

    seconds: float
    peak_bytes: int
    status: int


def process_cost(arguments: Sequence[str], folder: Path | None = None) -> ProcessCost:
    """What Python with these arguments costs, its outputs unread (not Windows)."""
    launch = [sys.executable, "-S", "-c", _LAUNCHER, *arguments]
    found = subprocess.run(launch, cwd=folder, check=True, capture_output=True, text=True).stdout
    seconds, kilobytes, status = found.split()
    return ProcessCost(float(seconds), 1024 * int(kilobytes), int(status))


# A process of its own starts them: one that has torch would count its own memory as theirs.
_LAUNCHER = """
import os, sys
null = os.open(os.devnull, os.O_WRONLY)
quiet = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
child = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss, status)
"""


def report(rows: list[dict[str, Any]], packages: tuple[str, ...], **settings: Any) -> dict[str, Any]:
    """Rows with what one must know to measure them again."""
    return {
        "threads": torch.get_num_threads(),
        "processor": _processor(),
        "versions": {name: metadata.version(name) for name in ("torch", *packages)},
        **settings,
        "rows": rows,
    }


def save(path: Path, content: dict[str, Any]) -> None:
    """Write the JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
