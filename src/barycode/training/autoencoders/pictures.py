"""Small pictures for training: a seeded split, and batches that can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.training.datasets import known_pictures
from barycode.training.datasets.picture_set import Images

HELD_OUT = 1000


@dataclass(frozen=True)
class Pictures:
    """uint8 (N, H, W, 3): to train on, to follow the training by, and to report."""

    train: Images
    held_out: Images
    test: Images

    @property
    def variance(self) -> float:
        """Of all training values in [0, 1]: squared errors are divided by it in the loss."""
        return float(np.var(self.train[:: max(1, len(self.train) // 10_000)] / 255.0))


def load_pictures(name: str, folder: Path) -> Pictures:
    """A data set by its name; 1000 pictures of the training part (at most a tenth) are held out, always the
    same ones.
    """
    return split(*(known_pictures(name, part, folder).array() for part in ("train", "test")))


def split(train: Images, test: Images) -> Pictures:
    """Hold out part of `train`, the same pictures whatever the seed of a run."""
    order = np.random.default_rng(0).permutation(len(train))
    count = min(HELD_OUT, len(train) // 10)
    return Pictures(train[order[count:]], train[order[:count]], test)


class Batches:
    """Endless batches, each picture once an epoch, in an order that a resumed run repeats."""

    def __init__(self, images: Images, size: int, seed: int) -> None:
        if len(images) < size:
            raise InvalidInputError(f"A batch of {size} needs more than {len(images)} pictures.")
        self.images, self.size, self.seed = images, size, seed
        self.drawn = 0

    def draw(self) -> Float[Tensor, "b 3 h w"]:
        """The next batch, in [0, 1]."""
        epoch, place = divmod(self.drawn, len(self.images) // self.size)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
        self.drawn += 1
        return to_tensor(self.images[order[place * self.size :][: self.size]])

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = int(state["drawn"])


def in_order(images: Images, size: int) -> Iterator[Float[Tensor, "b 3 h w"]]:
    """All pictures once, in [0, 1]."""
    return (to_tensor(images[start : start + size]) for start in range(0, len(images), size))


def to_tensor(images: Images) -> Float[Tensor, "b 3 h w"]:
    """uint8 (B, H, W, 3) as float32 (B, 3, H, W) in [0, 1], in the memory order of the pictures."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
