"""Keeps codebooks alive around any training loop: start from data, updates, revival."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import revive
from barycode.quantizers.codebook.initialization import kmeans
from barycode.quantizers.codebook.ranks import gather, share, total
from barycode.quantizers.codebook.statistics import CodebookStatistics, sync
from barycode.quantizers.codebook.updates import EmaUpdate
from barycode.quantizers.core.arguments import whole
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Initialization, Quantizer
from barycode.simplex.nearest import compute_dtype


class CodebookMaintenance:
    """Watches a quantizer's forward passes in training, and moves its codebooks once a step.

        maintenance = CodebookMaintenance(quantizer)  # before the optimizer: EMA freezes the codebooks
        ...  # forward, backward, optimizer.step(), as ever
        maintenance.step()

    The first vectors start every codebook by `start`, as soon as there are K of them. Then `step` applies
    `update` (`EmaUpdate`; None where the codebook learns by gradient: pass its optimizer to `step`), with the
    codes that the forward pass found. A code vector that nothing chose while `patience` vectors for each code
    passed moves onto a random vector of the last pass; `patience` 0 turns that off. Each stage and group of a
    composed quantizer is looked after by itself.

    Under torch.distributed the codebooks of N ranks are those of one rank on the whole batch: vectors for
    start and revival are gathered, statistics summed, and what is drawn at random is rank 0's. All ranks must
    take part in every `step`, and until the start in every forward pass, if only with an empty batch.

    It watches by hooks, at which `torch.compile` breaks the graph: compile the network without `fullgraph`.
    """

    def __init__(
        self,
        quantizer: Quantizer,
        *,
        start: Initialization | None = kmeans,
        update: EmaUpdate | None = EmaUpdate(),  # noqa: B008  frozen
        patience: int = 16,
    ) -> None:
        if not isinstance(quantizer, Quantizer):
            raise InvalidInputError(
                f"CodebookMaintenance looks after one Quantizer, not a {type(quantizer).__name__}: pass the "
                "layer itself (of a FeatureMap its `quantizer`)."
            )
        self.quantizer, self.update = quantizer, update
        self.patience = whole("patience", patience, least=0)
        self._start = start
        self._waiting: list[Tensor] = []  # vectors for the start
        self._vectors = torch.empty(0, quantizer.dim)  # of the last pass
        self._statistics: tuple[CodebookStatistics, ...] = ()  # since the last step
        self._seen: list[Tensor] = []  # of each codebook since the last step: its usage (K,), then vectors
        self._chosen: list[Tensor] = []  # the same of all ranks since it was last searched for dead codes
        if update is not None:
            for codebook in quantizer.codebooks:
                codebook.requires_grad_(False)
        _leave_out_of_graphs()
        quantizer.register_forward_pre_hook(self._before)
        quantizer.register_forward_hook(self._after)

    @torch.no_grad()
    def step(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Move the codebooks by what was seen since the last step; after the optimizer's own step."""
        if self._start is not None or not self.quantizer.codebooks:
            return
        seen = [total(entry) for entry in self._seen or self._nothing_seen()]
        if not any(entry.any() for entry in seen):
            return
        if self.update is not None:
            self.update(self.quantizer, sync(self._statistics or self._nothing()))
        self._chosen = _sums(self._chosen, seen)
        self._seen, self._statistics = [], ()
        self._revive(optimizer)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"started": self._start is None, "chosen": list(self._chosen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._chosen = list(state["chosen"])
        if state["started"]:
            self._start = None

    @torch.no_grad()
    def _before(self, quantizer: Quantizer, arguments: tuple[Tensor, ...]) -> None:
        if self._start is None or not quantizer.training:
            return
        self._waiting.append(gather(quantizer.checked(arguments[0]).reshape(-1, quantizer.dim)))
        vectors = torch.cat(self._waiting)
        if len(vectors) < max((codebook.size for codebook in quantizer.codebooks), default=0):
            return
        quantizer.initialize(vectors, self._start)
        share(quantizer.codebooks)
        self._start, self._waiting = None, []

    @torch.no_grad()
    def _after(self, quantizer: Quantizer, arguments: tuple[Tensor, ...], result: Quantized) -> None:
        if not quantizer.training or self._start is not None:
            return
        z = arguments[0].detach()
        self._vectors = z.to(compute_dtype(z)).reshape(-1, quantizer.dim)
        indices = result.indices.reshape(len(self._vectors), *result.indices.shape[z.ndim - 1 :])
        with torch.autocast(z.device.type, enabled=False):
            chosen = quantizer.usage(indices, result.weights)
            self._seen = _sums(self._seen, [_with_vectors(entry, len(indices)) for entry in chosen])
            if self.update is not None:  # the forward pass checked the vectors
                found = quantizer.gather_statistics(self._vectors, indices, result.weights)
                self._statistics = tuple(_sums(self._statistics, found))

    def _revive(self, optimizer: torch.optim.Optimizer | None) -> None:
        due = [float(entry[-1]) >= self.patience * (len(entry) - 1) for entry in self._chosen]
        if not self.patience or not any(due):
            return
        vectors = gather(self._vectors)
        coded = self.quantizer.assigned(vectors, self.quantizer.encode(vectors))
        for i, (codebook, candidates, _) in enumerate(coded):
            if due[i]:
                revive(codebook, self._chosen[i][:-1] == 0, candidates, optimizer=optimizer)
                self._chosen[i] = torch.zeros_like(self._chosen[i])
        share(self.quantizer.codebooks)

    def _nothing_seen(self) -> list[Tensor]:
        """What a rank that saw no vector has seen."""
        return [codebook.counts.new_zeros(codebook.size + 1) for codebook in self.quantizer.codebooks]

    def _nothing(self) -> tuple[CodebookStatistics, ...]:
        """The statistics of a rank that saw no vector."""
        return tuple(
            CodebookStatistics(torch.zeros_like(codebook.counts), torch.zeros_like(codebook.vectors).double())
            for codebook in self.quantizer.codebooks
        )


@cache
def _leave_out_of_graphs() -> None:
    """Let `torch.compile` not trace the hooks: what they do depends on data.

    No decorators, since to name the compiler is to load it; whoever trains has it.
    """
    for name in ("_before", "_after"):
        hook = getattr(CodebookMaintenance, name)
        setattr(CodebookMaintenance, name, torch.compiler.disable(hook))


def _with_vectors(usage: Tensor, vectors: int) -> Tensor:
    """The usage (K,), and behind them of how many vectors: none of a stage that was left out."""
    return torch.cat([usage, usage.new_full((1,), vectors) * usage.any()])


Entry = TypeVar("Entry", Tensor, CodebookStatistics)


def _sums(before: Sequence[Entry], seen: Sequence[Entry]) -> list[Entry]:
    """One by one; before anything was seen what is seen now."""
    return [a + b for a, b in zip(before, seen, strict=True)] if before else list(seen)
