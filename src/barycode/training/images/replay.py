"""Coded crops to train a decoder on several times: choosing codes takes longer than a step of the decoder."""

import numpy as np
import torch
from torch import Tensor

from barycode.images.lattice import UNIT
from barycode.training.images.coded import Batch, CodedBatch

CAPACITY = 1024  # crops


class Replay:
    """Holds the last crops that were coded, in bytes and 16-bit integers, and draws batches of them."""

    def __init__(self, random: np.random.Generator, capacity: int = CAPACITY) -> None:
        self._random = random
        self._capacity = capacity
        self._crops: list[tuple[Tensor, ...]] = []

    def __len__(self) -> int:
        return len(self._crops)

    def add(self, coded: CodedBatch) -> None:
        """Take in a batch; full, its crops replace others at random."""
        parts = (
            coded.batch.pixels.to(torch.uint8),
            coded.batch.step,
            (coded.codes * UNIT).to(torch.int16),
            coded.places,
        )
        for crop in zip(*parts, strict=True):
            kept = tuple(tensor.clone() for tensor in crop)
            if len(self._crops) < self._capacity:
                self._crops.append(kept)
            else:
                self._crops[self._random.integers(self._capacity)] = kept

    def draw(self, count: int) -> CodedBatch:
        """A batch of crops, drawn with replacement."""
        chosen = [self._crops[i] for i in self._random.integers(len(self._crops), size=count)]
        pixels, step, codes, places = (torch.stack(part) for part in zip(*chosen, strict=True))
        return CodedBatch(Batch(pixels.float(), step), codes.float() / UNIT, places)
