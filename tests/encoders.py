"""Encoders for the tests of corpora: quick, and as faulty as files ask them to be. Workers import them."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from barycode.corpora.products import Encoded
from barycode.errors import InvalidInputError
from barycode.training.autoencoders.pictures import split
from barycode.training.autoencoders.train import Recipe, Run


@dataclass(frozen=True)
class Backwards:
    """The bytes of a file backwards; a line in `log` for each time. Files that begin with BAD fail, with KILL
    kill the worker, with ONCE kill it the first time; of those with TELL a note is told.
    """

    log: Path

    def __call__(self, path: Path, name: str) -> Encoded:
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
        return Encoded(data[::-1], ["it was told"] if data.startswith(b"TELL") else [])

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def tokens_run(folder: Path, method: str = "vq-revive", size: int = 16) -> Path:
    """The folder of an autoencoder's run of one step."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    run = Run(Recipe("p", method, codebook_size=size, steps=1, batch=4), split(pictures, pictures), folder)
    run.loop.run()
    return run.loop.folder
