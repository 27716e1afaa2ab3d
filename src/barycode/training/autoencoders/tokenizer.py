"""A trained autoencoder as a tokenizer of picture files: what corpora of codebook indices are made with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from barycode.errors import CorruptFileError, InvalidInputError, MissingDataError
from barycode.images.source import check_representable
from barycode.plain_torch import plain_torch
from barycode.training.autoencoders.codes import pack_codes
from barycode.training.autoencoders.network import Autoencoder
from barycode.training.autoencoders.pictures import to_tensor
from barycode.training.autoencoders.train import Recipe, build
from barycode.training.checkpoints import Checkpoints, load_state
from barycode.training.datasets.known import square


def open_tokenizer(path: str | Path) -> Autoencoder:
    """The autoencoder of a run, in evaluation mode: of a checkpoint, or of the newest in a run's folder.

    Raises MissingDataError where there is none, CorruptFileError for other files, InvalidInputError for a
    run without a quantizer or of a method that is not in METHODS.
    """
    checkpoint = newest(Path(path))
    task = load_state(checkpoint).get("task", {})
    if "recipe" not in task or "model" not in task:
        raise CorruptFileError(
            f"{checkpoint} is no checkpoint of an autoencoder with its recipe: save one with this version."
        )
    known = {field.name for field in fields(Recipe)}
    model = build(Recipe(**{name: value for name, value in task["recipe"].items() if name in known}))
    if model.quantizer is None:
        raise InvalidInputError(f"{checkpoint} is an autoencoder without a quantizer, which has no indices.")
    model.load_state_dict(task["model"])
    return model.eval()


def newest(path: Path) -> Path:
    """The checkpoint itself, or the newest one of a run's folder that can be read."""
    if path.is_file():
        return path
    run = Checkpoints(path)
    if not run.paths():
        raise MissingDataError(f"{path} has no checkpoint of an autoencoder: name a run's folder or a file.")
    found = run.newest_sound()
    if found is None:
        raise CorruptFileError(f"{path} has no checkpoint that can be read: train the autoencoder again.")
    return found[0]


@dataclass(frozen=True)
class PictureTokenizer:
    """A picture into the bytes of a .bary file of its indices (height / f, width / f, ...).

    checkpoint: a file. side: pictures are cut to squares and scaled to so many pixels; None: what is over
    multiples of f is cut off at the right and at the bottom. Each picture is encoded by itself, so its
    indices depend on nothing else.
    """

    checkpoint: Path
    side: int | None = None

    @plain_torch()
    @torch.no_grad()
    def __call__(self, picture: Image.Image) -> bytes:
        check_representable(picture)
        model = _opened(self.checkpoint)
        if self.side is not None and self.side % model.factor:
            raise InvalidInputError(f"A side of {self.side} pixels is no multiple of {model.factor}.")
        plain = picture.convert("RGB") if self.side is None else square(picture.convert("RGB"), self.side)
        width, height = (side - side % model.factor for side in plain.size)
        if not (width and height):
            raise InvalidInputError(f"A picture of {plain.size} pixels is too small for a code.")
        indices = model.encode(to_tensor(np.array(plain.crop((0, 0, width, height)))[None]))
        assert model.quantizer is not None
        return pack_codes(model.quantizer, indices[0])

    def fingerprint(self) -> str:
        """SHA-256 of the checkpoint."""
        return hashlib.sha256(self.checkpoint.read_bytes()).hexdigest()


@lru_cache(maxsize=1)
def _opened(checkpoint: Path) -> Autoencoder:
    """Once a process: a worker has many pictures."""
    return open_tokenizer(checkpoint)
