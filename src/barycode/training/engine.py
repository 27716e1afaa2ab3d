"""How many processes train together, and in which precision: the engine of a loop.

Under torchrun every process runs the same script, `Engine.from_environment()` finds the others, and Lightning
Fabric averages their gradients. The recipe stays what it is: a batch is the global one, of which each rank
takes its share. With one process there is no Fabric, and nothing is different.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from barycode.errors import InvalidInputError, MissingDataError
from barycode.precision import prefers_bfloat16

PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}
Value = TypeVar("Value")


class Engine:
    """One process alone.

    rank, world: which process of how many this is.
    """

    rank, world = 0, 1

    @staticmethod
    def from_environment(precision: str = "float32") -> Engine:
        """The engine for how this process was started; `precision` float32, bfloat16, or auto, which is
        bfloat16 where the hardware has it. Raises InvalidInputError, MissingDataError without Fabric.
        """
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        native = "bfloat16" if prefers_bfloat16(device) else "float32"
        chosen = native if precision == "auto" else precision
        if chosen not in PRECISIONS:
            known = ", ".join([*PRECISIONS, "auto"])
            raise InvalidInputError(f"There is no precision {precision!r}: expected one of {known}.")
        if int(os.environ.get("WORLD_SIZE", "1")) == 1 and chosen == "float32":
            return Engine()
        return FabricEngine(PRECISIONS[chosen])

    def setup(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[..., Any]:
        """The forward pass to train with: that of the model whose gradients will be averaged."""
        return model

    def share(self, batch: Tensor) -> Tensor:
        """Of a global batch (B, ...) the part of this rank: B / world in a row."""
        return batch

    def backward(self, loss: Tensor) -> None:
        """Gradients of the mean of all ranks' losses."""
        loss.backward()

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all ranks, without gradient."""
        return value.detach()

    def agree(self, value: Value) -> Value:
        """Rank 0's value, on every rank."""
        return value

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        return flag

    def noise(self, *seed: int) -> AbstractContextManager[None]:
        """Within: what is drawn at random for a rank's share is its own, and afterwards as if never drawn."""
        return nullcontext()


class FabricEngine(Engine):
    """One of several processes, or one with a precision of its own, under Lightning Fabric."""

    def __init__(self, precision: Any) -> None:
        try:
            from lightning_fabric import Fabric
        except ModuleNotFoundError as error:
            raise MissingDataError(
                "Training on several processes needs Lightning Fabric: pip install 'barycode[scale]'."
            ) from error
        nodes = int(os.environ.get("WORLD_SIZE", "1")) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        devices = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        strategy = "ddp" if nodes * devices > 1 else "auto"
        self.fabric = Fabric(devices=devices, num_nodes=nodes, strategy=strategy, precision=precision)
        self.fabric.launch()
        self.rank, self.world = self.fabric.global_rank, self.fabric.world_size

    def setup(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[..., Any]:
        wrapped = self.fabric.setup(_Sealed(model), optimizer)[0]
        return lambda *inputs: wrapped(*inputs).content

    def share(self, batch: Tensor) -> Tensor:
        if len(batch) % self.world:
            raise InvalidInputError(
                f"A batch of {len(batch)} cannot be shared by {self.world} processes: take a multiple of it."
            )
        return self.fabric.to_device(batch.chunk(self.world)[self.rank])

    def backward(self, loss: Tensor) -> None:
        self.fabric.backward(loss)

    def mean(self, value: Tensor) -> Tensor:
        total: Tensor = self.fabric.all_reduce(value.detach().clone(), reduce_op="mean")  # type: ignore[assignment]
        return total

    def agree(self, value: Value) -> Value:
        return self.fabric.broadcast(value)

    def any(self, flag: bool) -> bool:
        return bool(self.mean(torch.tensor(float(flag), device=self.fabric.device)) > 0)

    @contextmanager
    def noise(self, *seed: int) -> Iterator[None]:
        if self.world == 1:
            yield
            return
        with torch.random.fork_rng():
            torch.manual_seed(hash((*seed, self.rank)) % 2**63)
            yield


class _Seal:
    """Any result, which Fabric does not take apart: it refuses frozen dataclasses."""

    def __init__(self, content: Any) -> None:
        self.content = content


class _Sealed(nn.Module):
    """A model whose result is sealed."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> _Seal:
        return _Seal(self.model(*inputs))
