"""A fine-tuned checkpoint as the difference to the one that it comes from: bytes, and accuracy afterwards.

    python experiments/fine-tuned-delta/run.py --data FOLDER

The ResNet-32 of CIFAR-10 (resnet32_cifar10.safetensors) learns the traffic signs of GTSRB: a new last layer
on the features as they are, then every weight, at two learning rates. Writes results.json and the table of
README.md; a run that is there is not made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import track
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from barycode.cli.program import run_script
from barycode.container import write_atomic
from barycode.experiments.document_tables import fill_table
from barycode.experiments.scripts import load_script
from barycode.training.datasets import data_folder, known_pictures
from barycode.weights import Lossless, RelativeError, compress, decompress

HERE = Path(__file__).parent
NETWORK = load_script(HERE.parent / "resnet32-cifar10/network.py")
SIGNS, FEATURES = 43, 64
BATCH, STEPS = 64, 240
RATES = (1e-5, 1e-4)
PROBE_STEPS, PROBE_RATE = 400, 1e-2
ERROR = 0.02  # of weights, in lossy files: the default
ERROR_OF_DIFFERENCE = 0.3  # of what fine-tuning did to them, in lossy files over the base
State = dict[str, Tensor]


def pictures(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Normalised pictures (N, 3, 32, 32) and labels (N,)."""
    known = known_pictures("gtsrb", split, folder)
    pixels = torch.from_numpy(np.ascontiguousarray(known.array().transpose(0, 3, 1, 2)))
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (NETWORK.MEAN, NETWORK.DEVIATION))
    return (pixels / 255 - mean) / deviation, torch.tensor(known.labels)


def pretrained(folder: Path) -> nn.Module:
    network: nn.Module = NETWORK.pretrained(folder / "resnet32_cifar10.safetensors")
    return network


@torch.no_grad()
def outputs(network: nn.Module, images: Tensor) -> Tensor:
    network.eval()
    return torch.cat([network(part) for part in images.split(250)])


def with_new_head(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    """A last layer for signs, fitted to the features as they are."""
    network.linear = nn.Identity()
    features = outputs(network, images)
    head = nn.Linear(FEATURES, SIGNS)
    optimizer = torch.optim.Adam(head.parameters(), PROBE_RATE)
    for _ in range(PROBE_STEPS):
        optimizer.zero_grad()
        cross_entropy(head(features), labels).backward()
        optimizer.step()
    network.linear = head


def fine_tune(network: nn.Module, images: Tensor, labels: Tensor, rate: float) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    network.eval()  # normalisation keeps the statistics of the base
    for _ in track(range(STEPS), f"learning rate {rate:g}"):
        chosen = torch.randint(len(labels), (BATCH,))
        optimizer.zero_grad()
        cross_entropy(network(images[chosen]), labels[chosen]).backward()
        optimizer.step()
        schedule.step()


def rows(folder: Path, rate: float, seed: int) -> Iterator[dict[str, object]]:
    """Of one run: every bit and errors of 2 %, in float32 and bfloat16, alone and over the base."""
    torch.manual_seed(seed)
    base, network = pretrained(folder), pretrained(folder)
    images, labels = pictures(folder, "train")
    unseen, answers = pictures(folder, "test")

    def accuracy(state: State) -> float:
        network.load_state_dict(state)
        right = outputs(network, unseen).argmax(1) == answers
        return round(100 * float(right.double().mean()), 2)

    with_new_head(network, images, labels)
    probe = accuracy(network.state_dict())
    fine_tune(network, images, labels, rate)
    tuned = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for dtype in (torch.float32, torch.bfloat16):
        before, after = (_cast(state, dtype) for state in (base.state_dict(), tuned))
        for what, target, of_difference in (
            ("every bit", Lossless(), Lossless()),
            ("with errors", RelativeError(ERROR), RelativeError(ERROR_OF_DIFFERENCE)),
        ):
            alone, over = compress(after, target), compress(after, of_difference, base=before)
            back = decompress(over, base=before)
            if isinstance(target, Lossless):
                assert all(torch.equal(back[name], tensor) for name, tensor in after.items())
            yield {
                **{"rate": rate, "seed": seed, "type": str(dtype).removeprefix("torch."), "kept": what},
                "bytes": sum(tensor.nbytes for tensor in after.values()),
                "alone": len(alone),
                "over base": len(over),
                "error alone": _error(after, decompress(alone)),
                "error over base": _error(after, back),
                "new head alone": probe,
                "fine-tuned": accuracy(after),
                "alone, read back": accuracy(decompress(alone)),
                "over base, read back": accuracy(back),
            }


def _error(state: State, other: State) -> float:
    """The root of the squared error over the squared weights, of all parameters that are no vectors."""
    pairs = [(state[name].double(), other[name].double()) for name in state if state[name].dim() > 1]
    return float(
        (sum((a - b).square().sum() for a, b in pairs) / sum(a.square().sum() for a, _ in pairs)).sqrt()
    )


def _cast(state: State, dtype: torch.dtype) -> State:
    return {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()
    }


def table(found: list[dict]) -> str:
    heads = (
        "learning rate",
        "seed",
        "type",
        "file",
        "tensors, bytes",
        "alone",
        "over its base",
        "over / alone",
    )
    heads += ("error alone", "over its base", "accuracy", "alone", "over its base")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in found:
        errors = [f"{100 * row[name]:.2f} %" for name in ("error alone", "error over base")]
        accuracies = [
            f"{row[name]:.2f} %" for name in ("fine-tuned", "alone, read back", "over base, read back")
        ]
        counts = [f"{row[name]:,}" for name in ("bytes", "alone", "over base")]
        ratio = f"{row['over base'] / row['alone']:.3f}"
        cells = (f"{row['rate']:g}", str(row["seed"]), row["type"], row["kept"], *counts, ratio)
        lines.append(f"| {' | '.join((*cells, *errors, *accuracies))} |")
    return "\n".join(lines)


def main(
    data: Annotated[Path | None, typer.Option(help="Folder of the data; default: BARYCODE_DATA.")] = None,
    seed: Annotated[int, typer.Option(help="Of the new layer and the order of pictures.")] = 0,
) -> None:
    """Fine-tune, compress, measure, write the table."""
    results = HERE / "results.json"
    found = json.loads(results.read_text()) if results.exists() else []
    for rate in RATES:
        if not any((row["rate"], row["seed"]) == (rate, seed) for row in found):
            for row in rows(data_folder(data), rate, seed):
                typer.echo(json.dumps(row))
                found.append(row)
            text = "[\n" + ",\n".join(json.dumps(row) for row in found) + "\n]\n"
            write_atomic(results, text.encode(), force=True)
    fill_table(HERE / "README.md", table(found))


if __name__ == "__main__":
    run_script(main)
