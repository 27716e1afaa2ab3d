"""Is the codebook alive? Usage, perplexity and dead codes over as much data as you feed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import torch
import torch.distributed as dist
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.counters import CounterModule
from barycode.quantizers.core.arguments import kind_of, whole
from barycode.quantizers.core.assignment import Assignment
from barycode.quantizers.core.quantizer import Quantizer


class CodebookHealth(CounterModule):
    """A histogram of the codes chosen since the last `reset`: a whole epoch, whatever the batch size.

    Fed with indices it counts hard codes; fed with weights, the mass of each code vector under soft ones.
    histogram: (K,) float64 buffer, saved and resumed with the state_dict.
    """

    histogram: Tensor
    shared: Tensor  # what all ranks have counted together already

    def __init__(self, codebook_size: int) -> None:
        super().__init__()
        size = whole("codebook_size", codebook_size)
        self.register_buffer("histogram", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("shared", torch.zeros(size, dtype=torch.float64))

    @torch.no_grad()
    def update(self, indices: Int64[Tensor, "..."]) -> None:
        """Count a batch of indices, of any shape, all of them of one codebook.

        The parts of residual and product codes belong to codebooks of their own: `QuantizerHealth`.
        Raises InvalidInputError for indices outside the codebook.
        """
        if not isinstance(indices, Tensor) or indices.dtype != torch.int64:
            raise InvalidInputError(f"Health counts int64 indices, not {kind_of(indices)}.")
        if indices.numel() and int(indices.min()) < 0:
            raise InvalidInputError(f"The indices go down to {int(indices.min())}; the lowest is 0.")
        counts = torch.bincount(indices.detach().flatten(), minlength=self.histogram.numel())
        if counts.numel() != self.histogram.numel():
            raise InvalidInputError(
                f"The indices reach {counts.numel() - 1}, "
                f"but the codebook has only {self.histogram.numel()} vectors."
            )
        self.histogram += counts

    @torch.no_grad()
    def update_weights(self, weights: Assignment) -> None:
        """Add the weights of a batch; `perplexity` is then that of the mean p, as in papers on soft codes.

        Raises InvalidInputError for weights over another number of code vectors.
        """
        size = self.histogram.numel()
        if weights.codebook_size != size:
            raise InvalidInputError(
                f"The weights are over {weights.codebook_size} code vectors, expected {size}."
            )
        self.histogram += weights.total().detach()

    def merge(self, other: CodebookHealth) -> None:
        """Add what another one has counted."""
        self.histogram += other.histogram
        self.shared += other.shared

    def sync(self, group: dist.ProcessGroup | None = None) -> None:
        """Sum over all ranks what was counted since the last `sync`; nothing without torch.distributed."""
        if dist.is_available() and dist.is_initialized():
            own = self.histogram - self.shared
            dist.all_reduce(own, group=group)
            self.histogram.copy_(self.shared + own)
            self.shared.copy_(self.histogram)

    def reset(self) -> None:
        """Forget everything."""
        self.histogram.zero_()
        self.shared.zero_()

    @property
    def usage(self) -> float:
        """The fraction of code vectors that were chosen at least once."""
        return (self.histogram > 0).double().mean().item()

    @property
    def perplexity(self) -> float:
        """2^H of the histogram: how many equally likely codes have that entropy, 1 to K; 0 without data."""
        total = self.histogram.sum().item()
        if total == 0:
            return 0.0
        p = self.histogram.double() / total
        return torch.exp(torch.special.entr(p).sum()).item()

    @property
    def dead_codes(self) -> Bool[Tensor, " k"]:
        """Which code vectors were never chosen, for `revive`."""
        return self.histogram == 0

    def rare_codes(self, share: float) -> Bool[Tensor, " k"]:
        """Which code vectors have less than this share of what each would have if all had the same."""
        return self.histogram < share * self.histogram.mean()

    def summary(self) -> dict[str, float]:
        """Numbers to log: usage, perplexity, dead_codes, vectors."""
        return {
            "usage": self.usage,
            "perplexity": self.perplexity,
            "dead_codes": float(self.dead_codes.sum().item()),
            "vectors": float(self.histogram.sum().item()),
        }


class QuantizerHealth(nn.Module):
    """The health of every codebook inside a quantizer, residual and product codes included.

    Iterates over one `CodebookHealth` a codebook, in the order of `quantizer.codebooks`.
    """

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        sizes = [codebook.size for codebook in quantizer.codebooks] or [quantizer.codebook_size]
        self.parts = nn.ModuleList(map(CodebookHealth, sizes))
        self._split = quantizer.parts

    def __iter__(self) -> Iterator[CodebookHealth]:
        return (cast(CodebookHealth, part) for part in self.parts)

    def update(self, indices: Int64[Tensor, "*batch_parts"]) -> None:
        """Count indices that the quantizer returned: (...), or (..., parts), the first stages alone too."""
        for health, part in zip(self, self._split(indices), strict=False):
            health.update(part)

    def sync(self, group: dist.ProcessGroup | None = None) -> None:
        """Sum over all ranks what was counted since the last `sync`."""
        for health in self:
            health.sync(group)

    def reset(self) -> None:
        """Forget everything."""
        for health in self:
            health.reset()

    def summary(self) -> Mapping[str, float]:
        """Numbers to log: those of the one codebook, or `0/usage`, `0/perplexity`, ... of several."""
        if len(self.parts) == 1:
            return next(iter(self)).summary()
        return {
            f"{number}/{name}": value
            for number, health in enumerate(self)
            for name, value in health.summary().items()
        }
