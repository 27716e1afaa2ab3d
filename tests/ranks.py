"""Starts a script of the tests on several processes, as torchrun does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LONGEST = 900  # seconds: a run that stands still fails its test instead of holding up all others


def start(processes: int, script: Path, *arguments: Any, restarts: int = 0) -> subprocess.Popen[str]:
    """The script running on so many processes, all of one thread."""
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "--max-restarts", str(restarts), str(script)]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(run: subprocess.Popen[str]) -> str:
    """What a run that ends well told."""
    with run:
        told = told_by(run)
    assert run.returncode == 0, told[-3000:]
    return told


def told_by(run: subprocess.Popen[str]) -> str:
    """What a run says until it ends."""
    try:
        return run.communicate(timeout=LONGEST)[1]
    except subprocess.TimeoutExpired:
        run.kill()
        raise
