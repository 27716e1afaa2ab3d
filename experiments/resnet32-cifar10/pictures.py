"""CIFAR-10 as the network sees it: normalised, and fixed augmented views of it.

View number v shifts and mirrors every training picture in a way that depends on v alone, so that the float
network's logits on it are computed once for all runs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from network import DEVIATION, MEAN
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from barycode.cli.batch import progress_bar
from barycode.training.datasets import known_pictures

HELD_OUT = 5_000  # of the training set, for hyperparameters
PADDING = 4
BATCH = 250


@dataclass(frozen=True)
class Pictures:
    """uint8 (N, 3, 32, 32) and labels (N,)."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: slice | Tensor) -> "Pictures":
        return Pictures(self.pixels[chosen], self.labels[chosen])


def load(folder: Path, split: Literal["train", "test"]) -> Pictures:
    """All training or test pictures of CIFAR-10, in their order."""
    pictures = known_pictures("cifar10", split, folder)
    pixels = torch.from_numpy(np.ascontiguousarray(pictures.array().transpose(0, 3, 1, 2)))
    return Pictures(pixels, torch.tensor(pictures.labels))


def training_and_validation(folder: Path) -> tuple[Pictures, Pictures]:
    """45,000 pictures to train with, and the last 5,000 of the training set to choose hyperparameters."""
    pictures = load(folder, "train")
    return pictures[:-HELD_OUT], pictures[-HELD_OUT:]


def normalised(pixels: Tensor) -> Tensor:
    """uint8 (n, 3, 32, 32) to float32 with mean about 0 and deviation about 1, channels last."""
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
    return ((pixels / 255 - mean) / deviation).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class View:
    """Shifts (N, 2) of 0 ... 8 pixels and mirrorings (N,) of N pictures."""

    shifts: Tensor
    mirrored: Tensor

    @classmethod
    def number(cls, view: int, count: int) -> "View":
        random = torch.Generator().manual_seed(view)
        shifts = torch.randint(2 * PADDING + 1, (count, 2), generator=random)
        return cls(shifts, torch.rand(count, generator=random) < 0.5)

    def of(self, pictures: Pictures, chosen: Tensor) -> Tensor:
        """The chosen pictures, normalised, padded with zeros, shifted and mirrored: (n, 3, 32, 32)."""
        images = functional.pad(normalised(pictures.pixels[chosen]), (PADDING,) * 4)
        size = torch.arange(pictures.pixels.shape[-1])
        mirrored = self.mirrored[chosen, None]
        columns = self.shifts[chosen, 1:] + torch.where(mirrored, size.flip(0), size)
        rows = self.shifts[chosen, :1] + size
        batch = torch.arange(len(chosen))[:, None, None]
        # Index rows and columns with the channels last, where they are neighbours in memory.
        cut = images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None]]
        return cut.permute(0, 3, 1, 2)


@torch.no_grad()
def logits(network: nn.Module, pictures: Pictures) -> Tensor:
    """The network's logits (N, 10) on the pictures as they are."""
    return torch.cat([network(normalised(pixels)) for pixels in pictures.pixels.split(BATCH)])


def accuracy(network: nn.Module, pictures: Pictures) -> float:
    """Per cent of the pictures that the network, in evaluation mode, classifies as labelled."""
    right = logits(network.eval(), pictures).argmax(1) == pictures.labels
    return 100 * float(right.double().mean())


def teacher_logits(network: nn.Module, pictures: Pictures, view: int, cache: Path) -> Tensor:
    """The network's logits (N, 10) on a view of the pictures, kept in the folder `cache`."""
    path = cache / f"teacher-view-{view}.safetensors"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        save_file({"logits": _on_view(network, pictures, view)}, path)
    return load_file(path)["logits"]


@torch.no_grad()
def _on_view(network: nn.Module, pictures: Pictures, view: int) -> Tensor:
    shown = View.number(view, len(pictures))
    chunks = torch.arange(len(pictures)).split(BATCH)
    with progress_bar() as progress, torch.autocast("cpu", torch.bfloat16):
        task = progress.add_task(f"teacher on view {view}", total=len(chunks))
        parts = []
        for chunk in chunks:
            parts.append(network(shown.of(pictures, chunk)).float())
            progress.advance(task)
    return torch.cat(parts)
