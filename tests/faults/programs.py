"""`barycode` as a process of its own, with a small model, as a shell starts it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODEL = HERE.parent / "images" / "golden" / "tiny.safetensors"
BARYCODE = (sys.executable, "-m", "barycode")
FAULTY = (sys.executable, str(HERE / "faulty.py"))
QUICK = ("--effort", "0", "--model", str(MODEL))


def start(*arguments: object, program: tuple[str, ...] = BARYCODE, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command; its standard streams are pipes."""
    own = options.pop("environment", {})
    streams: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | options
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"} | own
    return subprocess.Popen([*program, *map(str, arguments)], env=environment, **streams)


def run(*arguments: object, **options: Any) -> tuple[int, str, str]:
    """Run a command to its end: its exit code, what it printed, and what it said."""
    data = options.pop("input", b"")
    with start(*arguments, **options) as process:
        out, err = process.communicate(data)
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def hidden(folder: Path) -> list[str]:
    """What an unfinished run has left."""
    return [path.name for path in folder.rglob("*") if path.name.startswith(".")]
