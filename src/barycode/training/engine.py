"""How many processes train together, and in which precision: the engine of a loop.

Under torchrun every process runs the same script, `Engine.from_environment()` finds the others, and Lightning
Fabric averages their gradients. The recipe stays what it is: a batch is the global one, of which each rank
takes its share. With one process there is no Fabric, and nothing is different.
"""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from barycode.errors import InvalidInputError, MissingDataError
from barycode.precision import prefers_bfloat16
from barycode.quantizers import gather
from barycode.training.rendezvous import join, shares_a_store

PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}
Value = TypeVar("Value")


class Engine:
    """One process alone.

    rank, world: which process of how many this is.
    """

    rank, world = 0, 1

    @staticmethod
    def from_environment(
        precision: str = "float32", *, accelerator: str = "auto", unused_parameters: bool = False
    ) -> Engine:
        """The engine for how this process was started; `precision` float32, bfloat16, or auto, which is
        bfloat16 where the hardware has it. Raises InvalidInputError, MissingDataError without Fabric.

        accelerator: what several processes compute on, as Fabric names it. unused_parameters: whether a
        forward pass, which then returns a dict of tensors, may leave parameters out.
        """
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        native = "bfloat16" if prefers_bfloat16(device) else "float32"
        chosen = native if precision == "auto" else precision
        if chosen not in PRECISIONS:
            known = ", ".join([*PRECISIONS, "auto"])
            raise InvalidInputError(f"There is no precision {precision!r}: expected one of {known}.")
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        if processes == 1 and chosen == "float32":
            return Engine()
        devices = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        strategy = "ddp_find_unused_parameters_true" if unused_parameters else "ddp"
        return FabricEngine(
            unused_parameters,
            precision=PRECISIONS[chosen],
            accelerator=accelerator,
            strategy=strategy if processes > 1 else "auto",
            devices=devices,
            num_nodes=processes // devices,
        )

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

    def total(self, value: Tensor) -> Tensor:
        """The sum over all ranks, without gradient."""
        return value.detach()

    def gather(self, share: Tensor) -> Tensor:
        """The global batch (B, ...) of which every rank has a `share`, without gradient."""
        return share.detach()

    def once(self, action: Callable[[], Value]) -> Value:
        """Act on rank 0 only, while the others wait; what came of it, on every rank."""
        return action()

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        return flag

    def noise(self, *seed: int) -> AbstractContextManager[None]:
        """Within: what is drawn at random for a rank's share is its own, and afterwards as if never drawn."""
        return nullcontext()


def _leave() -> None:
    """End the threads of the process group before the interpreter ends: gloo's may abort it otherwise."""
    if dist.is_initialized():
        dist.destroy_process_group()


class FabricEngine(Engine):
    """One of several processes, or one with a precision of its own, under Lightning Fabric.

    unused_parameters: as above. settings: how Fabric is set up.
    """

    def __init__(self, unused_parameters: bool, **settings: Any) -> None:
        try:
            from lightning_fabric import Fabric
        except ModuleNotFoundError as error:
            raise MissingDataError(
                "Training on several processes needs Lightning Fabric: pip install 'barycode[scale]'."
            ) from error
        self.fabric = Fabric(**settings)
        if shares_a_store():
            join(self.fabric.device)
        self.fabric.launch()
        self.rank, self.world = self.fabric.global_rank, self.fabric.world_size
        self.unused_parameters = unused_parameters
        if self.world > 1:
            atexit.register(_leave)

    def setup(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[..., Any]:
        wrapped = self.fabric.setup(_Sealed(model, self.unused_parameters), optimizer)[0]
        return lambda *inputs: wrapped(_Seal(inputs))[0].content

    def share(self, batch: Tensor) -> Tensor:
        if len(batch) % self.world:
            raise InvalidInputError(
                f"A batch of {len(batch)} cannot be shared by {self.world} processes: take a multiple of it."
            )
        return self.fabric.to_device(batch.chunk(self.world)[self.rank])

    def backward(self, loss: Tensor) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Grad strides")  # of 1 x 1 kernels, whose layouts are one
            self.fabric.backward(loss)

    def mean(self, value: Tensor) -> Tensor:
        return self._reduced(value, "mean")

    def total(self, value: Tensor) -> Tensor:
        return self._reduced(value, "sum")

    def _reduced(self, value: Tensor, operation: str) -> Tensor:
        reduced: Tensor = self.fabric.all_reduce(value.detach().clone(), reduce_op=operation)  # type: ignore[assignment]
        return reduced

    def gather(self, share: Tensor) -> Tensor:
        return gather(share.detach().reshape(len(share), -1)).view(-1, *share.shape[1:])

    def once(self, action: Callable[[], Value]) -> Value:
        return self.fabric.broadcast(action() if self.rank == 0 else None)  # type: ignore[return-value]

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
    """Arguments or a result that Fabric does not take apart: it refuses frozen dataclasses."""

    def __init__(self, content: Any) -> None:
        self.content = content


class _Sealed(nn.Module):
    """A model whose arguments and whose result are sealed; tensors of a dict lie beside it, for whoever looks
    which parameters took part in them.
    """

    def __init__(self, model: nn.Module, unused_parameters: bool) -> None:
        super().__init__()
        self.model = model
        if unused_parameters:  # always one at least: every rank warns where there turn out to be none
            self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: _Seal) -> tuple[_Seal, list[Tensor]]:
        result = self.model(*inputs.content)
        return _Seal(result), list(result.values()) if isinstance(result, dict) else []
