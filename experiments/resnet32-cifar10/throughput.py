"""Training steps a second with soft-to-hard on, against the plain network: interleaved, the best of several.

python experiments/resnet32-cifar10/throughput.py
"""

import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from network import ResNet32
from torch import nn
from torch.nn import functional

from barycode.cli.program import run_script
from barycode.weights.soft_to_hard import compressible, rate_loss, relative_grid


def main(
    batch: Annotated[int, typer.Option(help="Pictures in a batch.")] = 128,
    rounds: Annotated[int, typer.Option(help="Steps of each kind.")] = 7,
    half: Annotated[bool, typer.Option(help="In bfloat16 where autocast allows it.")] = True,
) -> None:
    """Print seconds a step, plain and compressible, and the ratio of their throughputs."""
    torch.manual_seed(0)
    plain, soft = ResNet32().train(), compressible(ResNet32().train(), relative_grid(), hard_forward=True)
    images = torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))

    def step(network: nn.Module, rate: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = network(images)
        loss = functional.cross_entropy(logits.float(), labels)
        network.zero_grad()
        (loss + rate_loss(network) if rate else loss).backward()

    seconds = {"plain": float("inf"), "soft-to-hard": float("inf")}
    for _ in range(rounds):
        seconds["plain"] = min(seconds["plain"], timed(lambda: step(plain, False)))
        seconds["soft-to-hard"] = min(seconds["soft-to-hard"], timed(lambda: step(soft, True)))
    ratio = seconds["plain"] / seconds["soft-to-hard"]
    print(", ".join(f"{name} {value:.3f} s" for name, value in seconds.items()), f"throughput {ratio:.2f}")


def timed(action: Callable[[], None]) -> float:
    """Seconds of this process."""
    start = time.process_time()
    action()
    return time.process_time() - start


if __name__ == "__main__":
    run_script(main)
