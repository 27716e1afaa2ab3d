"""The ResNet-32 of CIFAR-10 (He et al. 2016): 464,154 parameters, shortcuts without any (option A)."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WIDTHS = (16, 32, 64)
BLOCKS = 5


class Block(nn.Module):
    """Two 3x3 convolutions and what came in; a wider block subsamples it and fills up with zeros."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == outputs else 2
        self.missing = (outputs - inputs) // 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return functional.relu(self.bn2(self.conv2(y)) + self._shortcut(x), inplace=True)

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return x
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.missing, self.missing))


class ResNet32(nn.Module):
    """Normalised pictures (N, 3, 32, 32) to logits (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(Block(before, width), *(Block(width, width) for _ in range(BLOCKS - 1)))
            for before, width in zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)
        )
        self.linear = nn.Linear(WIDTHS[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def pretrained(path: Path) -> ResNet32:
    """The network of a safetensors file, in evaluation mode, channels last."""
    return from_state(load_file(path))


def from_state(state: dict[str, Tensor]) -> ResNet32:
    """The network with these parameters; counters of batches, which nothing reads, may be missing."""
    network = ResNet32()
    missing, unexpected = network.load_state_dict(state, strict=False)
    strangers = [name for name in missing if not name.endswith("num_batches_tracked")] + unexpected
    if strangers:
        raise KeyError(f"not the parameters of a ResNet-32: {', '.join(strangers)}")
    return network.eval().to(memory_format=torch.channels_last)
