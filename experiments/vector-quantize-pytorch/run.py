"""The same autoencoder with our quantizers and those of vector-quantize-pytorch, each as its guide says.

    python experiments/vector-quantize-pytorch/run.py --data FOLDER

Writes results.json, the plot, and the tables of README.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import torch
import typer
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional
from vector_quantize_pytorch import VectorQuantize

from barycode.benchmarks.timing import ratios, take_turns
from barycode.cli.batch import progress_bar
from barycode.cli.program import run_script
from barycode.container import write_atomic
from barycode.experiments.document_tables import fill_table
from barycode.quantizers import (
    CodebookMaintenance,
    DirectionalVectorQuantizer,
    FeatureMap,
    Quantizer,
    VectorQuantizer,
    rotation_trick,
)
from barycode.training.autoencoders.network import decoder, encoder
from barycode.training.autoencoders.pictures import Batches, Pictures, in_order, load_pictures
from barycode.training.datasets import data_folder

HERE = Path(__file__).parent
SIZE, DIM = 256, 32
CHANNELS = 64, 16  # of the network, and within its residual blocks
BATCH, LEARNING_RATE = 32, 1e-3
STEPS = (312, 1000)  # after which the test pictures are measured
SEEDS = 3
ROUNDS = 40
PEER = "vector-quantize-pytorch"


@dataclass(frozen=True)
class Layer:
    """A quantizer in a loop: latents (B, d, h, w) to quantized latents and the loss to add, and what follows
    the optimizer's step.
    """

    module: nn.Module
    quantize: Callable[[Tensor], tuple[Tensor, Tensor]]
    after_step: Callable[[torch.optim.Optimizer], None] = lambda optimizer: None


def ours(quantizer: Quantizer, **options: Any) -> Layer:
    """The first lines of our guide: a quantizer and its maintenance."""
    maintenance = CodebookMaintenance(quantizer, **options)
    features = FeatureMap(quantizer)

    def quantize(latents: Tensor) -> tuple[Tensor, Tensor]:
        result = features(latents)
        return result.quantized, result.loss

    return Layer(quantizer, quantize, maintenance.step)


def peer(**options: Any) -> Layer:
    """The peer's layer, channels first."""
    module = VectorQuantize(dim=DIM, codebook_size=SIZE, accept_image_fmap=True, **options)

    def quantize(latents: Tensor) -> tuple[Tensor, Tensor]:
        quantized, _, loss = module(latents)
        return quantized, loss.sum()

    return Layer(module, quantize)


KEPT = {"kmeans_init": True, "threshold_ema_dead_code": 2}  # what its read-me advises against dead codes
LAYERS: dict[str, Callable[[], Layer]] = {
    "Barycode, straight-through": lambda: ours(VectorQuantizer(SIZE, DIM)),
    f"{PEER}, straight-through": lambda: peer(rotation_trick=False, **KEPT),
    "Barycode, rotation": lambda: ours(VectorQuantizer(SIZE, DIM, estimator=rotation_trick)),
    f"{PEER}, rotation": lambda: peer(rotation_trick=True, **KEPT),
    "Barycode, DiVeQ": lambda: ours(DirectionalVectorQuantizer(SIZE, DIM), update=None),  # by gradient
    f"{PEER}, DiVeQ": lambda: peer(rotation_trick=False, directional_reparam=True, **KEPT),
    f"{PEER}, nothing but K and d": peer,
}
PAIRS = tuple((f"Barycode, {kind}", f"{PEER}, {kind}") for kind in ("straight-through", "rotation", "DiVeQ"))


class Training:
    """An autoencoder around a layer, and its optimizer; the networks of one seed start alike."""

    def __init__(self, name: str, pictures: Pictures, seed: int) -> None:
        torch.manual_seed(seed)
        self.encoder, self.decoder = encoder(DIM, *CHANNELS), decoder(DIM, *CHANNELS)
        self.layer = LAYERS[name]()
        parts = nn.ModuleList([self.encoder, self.decoder, self.layer.module])
        parts.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks, self.pictures, self.variance = parts, pictures, pictures.variance
        learned = [parameter for parameter in parts.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(learned, LEARNING_RATE)
        self.batches = Batches(pictures.train, BATCH, seed)

    def step(self) -> None:
        pictures = self.batches.draw()
        quantized, loss = self.layer.quantize(self.encoder(pictures - 0.5))
        error = functional.mse_loss(self.decoder(quantized) + 0.5, pictures) / self.variance
        self.optimizer.zero_grad()
        (error + loss).backward()
        self.optimizer.step()
        self.layer.after_step(self.optimizer)

    @torch.inference_mode()
    def test_mse(self) -> float:
        self.networks.eval()
        total = 0.0
        for pictures in in_order(self.pictures.test, 250):
            restored = self.decoder(self.layer.quantize(self.encoder(pictures - 0.5))[0]) + 0.5
            total += functional.mse_loss(restored, pictures).item() * len(pictures)
        self.networks.train()
        return total / len(self.pictures.test)


def train(name: str, pictures: Pictures, seed: int) -> dict[str, Any]:
    """A row: the test error after each number of STEPS."""
    run = Training(name, pictures, seed)
    errors = {}
    with progress_bar() as progress:
        for step in progress.track(range(1, STEPS[-1] + 1), description=f"{name}, seed {seed}"):
            run.step()
            if step in STEPS:
                errors[step] = run.test_mse()
    return {"layer": name, "seed": seed, "test_mse": errors}


def step_ratios(pictures: Pictures) -> dict[str, list[float]]:
    """The time of a training step of every layer over that of our straight-through one."""
    methods = {name: Training(name, pictures, 0).step for name in LAYERS}
    return ratios(take_turns(methods, ROUNDS), next(iter(LAYERS)))


def tables(rows: list[dict[str, Any]], times: dict[str, list[float]]) -> str:
    """Errors of every layer, then ours over the peer's, pair by pair and seed by seed."""
    head = [f"test MSE x 1e3 after {steps} steps" for steps in STEPS]
    lines = [f"| layer | {' | '.join(head)} | time of a step |", "| --- | --- | --- | --- |"]
    for name in LAYERS:
        cells = [_errors(rows, name, steps) for steps in STEPS]
        took = [f"{value:.2f}" for value in times.get(name, [1.0])]
        spread = f" [{took[1]}, {took[2]}]" if len(took) > 1 else ""
        lines.append(f"| {name} | {' | '.join(cells)} | {took[0]}{spread} |")
    lines += ["", f"| our MSE over {PEER}'s, by seed | {' | '.join(head)} |", "| --- | --- | --- |"]
    for own, other in PAIRS:
        cells = []
        for steps in STEPS:
            each = [a / b for a, b in zip(_mse(rows, own, steps), _mse(rows, other, steps), strict=True)]
            cells.append(f"**{mean(each):.3f}** ({', '.join(f'{value:.3f}' for value in each)})")
        lines.append(f"| {own.split(', ')[1]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mse(rows: list[dict[str, Any]], name: str, steps: int) -> list[float]:
    return [row["test_mse"][str(steps)] for row in rows if row["layer"] == name]


def _errors(rows: list[dict[str, Any]], name: str, steps: int) -> str:
    errors = [1000 * error for error in _mse(rows, name, steps)]
    return f"{mean(errors):.2f} ({', '.join(f'{error:.2f}' for error in errors)})"


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """A dot a run, a line a layer."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for place, name in enumerate(LAYERS):
        errors = [1000 * error for error in _mse(rows, name, STEPS[-1])]
        axes.plot(errors, [-place] * len(errors), "o", color="C0" if name.startswith("Barycode") else "C1")
    axes.set_yticks([-place for place in range(len(LAYERS))], list(LAYERS))
    axes.set_xlabel(f"test squared error x 1e3 after {STEPS[-1]} steps")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=110)


def missing(rows: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """Layers and seeds without a row: first one seed of each."""
    known = {(row["layer"], row["seed"]) for row in rows}
    return ((name, seed) for seed in range(SEEDS) for name in LAYERS if (name, seed) not in known)


def main(
    data: Annotated[Path | None, typer.Option(help="Folder of CIFAR-10; default: BARYCODE_DATA.")] = None,
) -> None:
    """Train what has no row yet, time the steps, and write the tables."""
    pictures = load_pictures("cifar10", data_folder(data))
    path = HERE / "results.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    for name, seed in missing(rows):
        rows.append(json.loads(json.dumps(train(name, pictures, seed))))
        _save(path, rows, {})
    times = step_ratios(pictures)
    _save(path, rows, times)
    fill_table(HERE / "README.md", tables(rows, times))
    plot(rows, HERE / "errors.png")


def _save(path: Path, rows: list[dict[str, Any]], times: dict[str, list[float]]) -> None:
    versions = {name: version(name) for name in ("torch", PEER)}
    content = {"versions": versions, "threads": torch.get_num_threads(), "step_ratios": times, "rows": rows}
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode(), force=True)


if __name__ == "__main__":
    run_script(main)
