"""What all rows start from, each made once and kept in the folder of runs."""

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from finetune import Recipe, Run, Teaching
from gauge import fold_statistics
from network import ResNet32, pretrained
from pictures import Pictures, load, normalised, training_and_validation
from safetensors.torch import load_file, save_file
from sensitivity import sensitivities
from torch import Tensor
from torch.nn.utils import prune

from barycode.weights import Calibration, calibrate

FLOAT_BYTES = 4 * 464_154
PRUNED = 0.8  # of all weights of matrices
PRUNED_EPOCHS = 1
CALIBRATED_WITH = 512  # pictures


class NotYet(Exception):  # noqa: N818 (no error: the time for this sitting is over)
    """A run was stopped by the clock; its checkpoint is where it was."""


@dataclass(frozen=True)
class Bench:
    """Folders of data and of runs, and a clock that says when to stop training."""

    data: Path
    runs: Path
    deadline: float

    def network(self) -> ResNet32:
        return pretrained(self.data / "resnet32_cifar10.safetensors")

    @cached_property
    def training(self) -> Pictures:
        return training_and_validation(self.data)[0]

    @cached_property
    def test(self) -> Pictures:
        return load(self.data, "test")

    @cached_property
    def teaching(self) -> Teaching:
        return Teaching(self.training, self.network(), self.runs)

    def train(self, run: Run, name: str) -> float:
        """Train to the end and return the minutes it took; raises NotYet when the clock says so."""
        if not run.train(name, lambda: time.monotonic() > self.deadline):
            raise NotYet(f"{name}: {run.step} of {run.steps} steps are done")
        return run.seconds / 60

    @cached_property
    def pruned(self) -> tuple[ResNet32, float]:
        """The network with the smallest weights at zero, fine-tuned in float; and the minutes that took."""
        network = self.network().to(memory_format=torch.contiguous_format)  # pruning takes views
        weights = [
            (module, "weight")
            for module in network.modules()
            if getattr(module, "weight", torch.zeros(0)).ndim > 1
        ]
        prune.global_unstructured(weights, prune.L1Unstructured, amount=PRUNED)
        minutes = self.train(Run(network, Recipe(epochs=PRUNED_EPOCHS), self.teaching), "pruned")
        for module, name in weights:
            prune.remove(module, name)
        return network.eval(), minutes

    @cached_property
    def calibration(self) -> Calibration:
        """What CALIBRATED_WITH pictures to train with, without labels, say about the folded network."""
        network = self.network()
        fold_statistics(network)
        random = torch.Generator().manual_seed(0)
        chosen = torch.randperm(len(self.training), generator=random)[:CALIBRATED_WITH]
        pictures = normalised(self.training.pixels[chosen])
        return calibrate(network, pictures, outputs=lambda logits: logits.log_softmax(-1))

    def sensitivities(self, network: ResNet32, name: str) -> dict[str, Tensor]:
        """The diagonal Gauss-Newton matrix of a network, by name."""
        path = self.runs / f"sensitivities-{name}.safetensors"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(sensitivities(network, self.training), path)
        return load_file(path)
