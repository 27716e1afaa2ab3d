"""Random crops of training pictures, held in memory as bytes."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from barycode.errors import InvalidInputError


def require_large(pictures: Sequence[Image.Image], size: int) -> None:
    """Raise InvalidInputError unless a picture is as large as a crop."""
    if not any(min(picture.size) >= size for picture in pictures):
        raise InvalidInputError(
            f"None of the {len(pictures)} pictures is at least {size} x {size} pixels: "
            "add larger ones, or train with smaller crops."
        )


class Crops:
    """Draws batches (B, 3, size, size) of float pixels; a picture's chance grows with its area. Mirrored
    and turned at random.
    """

    def __init__(self, pictures: Sequence[Image.Image], size: int, seed: int) -> None:
        require_large(pictures, size)
        arrays = [np.asarray(p.convert("RGB")).transpose(2, 0, 1) for p in pictures]
        self._pictures = [torch.from_numpy(a.copy()) for a in arrays if min(a.shape[1:]) >= size]
        areas = np.array([p[0].numel() for p in self._pictures], float)
        self._chances = areas / areas.sum()
        self._size = size
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._pictures)

    def draw(self, count: int) -> Tensor:
        chosen = self.random.choice(len(self._pictures), count, p=self._chances)
        return torch.stack([self._crop(self._pictures[i]) for i in chosen]).float()

    def _crop(self, picture: Tensor) -> Tensor:
        top, left = (int(self.random.integers(0, side - self._size + 1)) for side in picture.shape[1:])
        crop = picture[:, top : top + self._size, left : left + self._size]
        if self.random.random() < 0.5:
            crop = crop.flip(2)
        return crop.transpose(1, 2) if self.random.random() < 0.5 else crop
