"""What a command costs before it has done anything: processor time and memory of whole processes, in turns.

Processor time rather than the wall's, since the machine may be busy; the reference is `import torch` alone,
which nothing that touches pixels or weights can avoid.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from barycode.benchmarks.timing import ProcessCost, process_cost, quartiles

REFERENCE = "import torch"
LIGHT = {
    "barycode --help": ["--help"],
    "barycode compress missing.png": ["compress", "missing.png"],
    "barycode compress --quality 9": ["compress", "photo.png", "--quality", "9"],
}
HEAVY = {
    "barycode compress, 64 x 48 pixels": ["compress", "photo.png", "--force"],
    "barycode decompress, 64 x 48 pixels": ["decompress", "photo.bary", "-o", "back.png", "--force"],
}


def measure(rounds: int, folder: Path) -> list[dict[str, Any]]:
    """One row a command: seconds, megabytes, and its time over the reference's round by round; whether it is
    light, that is, needs no PyTorch. `folder` holds photo.png, of 64 x 48 pixels.
    """
    calls = {REFERENCE: ["-c", REFERENCE]}
    calls |= {name: ["-m", "barycode", *words] for name, words in (LIGHT | HEAVY).items()}
    costs: dict[str, list[ProcessCost]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, arguments in calls.items():
            found = process_cost(arguments, folder)
            if turn:  # the first fills caches
                costs[name].append(found)
    return [
        {
            "command": name,
            "light": name in LIGHT,
            "seconds": quartiles([cost.seconds for cost in found]),
            "megabytes": round(max(cost.peak_bytes for cost in found) / 2**20),
            "time_over_reference": quartiles(
                [own.seconds / base.seconds for own, base in zip(found, costs[REFERENCE], strict=True)]
            ),
        }
        for name, found in costs.items()
    ]
