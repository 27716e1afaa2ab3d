"""Encoders for the tests of corpora: quick, and as faulty as files ask them to be. Workers import them."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from barycode.errors import InvalidInputError


@dataclass(frozen=True)
class Backwards:
    """The bytes of a file backwards; a line in `log` for each time. Files that begin with BAD fail, with KILL
    kill the worker, with ONCE kill it the first time.
    """

    log: Path

    def __call__(self, path: Path, name: str) -> bytes:
        data = path.read_bytes()
        with self.log.open("a") as log:
            log.write(f"{Path(name).name}\n")
        if not data or data.startswith(b"BAD"):
            raise InvalidInputError(f"{name} is bad.")
        if data.startswith(b"ERR"):
            raise ZeroDivisionError("none of ours")
        first = not (self.log.parent / "died").exists()
        if data.startswith(b"KILL") or (data.startswith(b"ONCE") and first):
            (self.log.parent / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return data[::-1]

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []
