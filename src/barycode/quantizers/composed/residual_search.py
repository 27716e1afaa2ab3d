"""How a residual quantizer finds its codes: greedily, or with several beginnings kept at every stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from barycode.quantizers.core.arguments import whole
from barycode.simplex.nearest import block_rows, compute_dtype, nearest

Codebooks = Sequence[Tensor]  # of each stage, (K, d)


class ResidualSearch(Protocol):
    """Codes of vectors z (n, d): one index into the codebook of each stage."""

    def __call__(self, z: Float[Tensor, "n d"], codebooks: Codebooks) -> Int64[Tensor, "n stages"]: ...


@dataclass(frozen=True)
class GreedySearch:
    """Each stage takes the code vector nearest to what the stages before it left over."""

    def __call__(self, z: Float[Tensor, "n d"], codebooks: Codebooks) -> Int64[Tensor, "n stages"]:
        total = torch.zeros_like(codebooks[0][0])
        found = []
        for codebook in codebooks:
            found.append(nearest(z - total, codebook))
            total = total + functional.embedding(found[-1], codebook)
        return torch.stack(found, -1)


@dataclass(frozen=True)
class BeamSearch:
    """Keeps the `width` beginnings of least error at every stage; never worse than `GreedySearch`.

    Costs about `width` greedy searches, in memory `width` K numbers a vector of a block. Width 1 is greedy.
    """

    width: int = 8

    def __post_init__(self) -> None:
        whole("width", self.width)

    def __call__(self, z: Float[Tensor, "n d"], codebooks: Codebooks) -> Int64[Tensor, "n stages"]:
        dtype = compute_dtype(z, *codebooks)
        z, codebooks = z.to(dtype), [codebook.to(dtype) for codebook in codebooks]
        greedy = GreedySearch()(z, codebooks)
        if self.width == 1 or len(codebooks) == 1:
            return greedy
        if torch.compiler.is_exporting():  # a graph whose batch has no size yet
            return self._best(z, greedy, codebooks)
        found = torch.empty_like(greedy)
        rows = block_rows(self.width * max(len(codebook) for codebook in codebooks))
        for block, start, out in zip(z.split(rows), greedy.split(rows), found.split(rows), strict=True):
            # Every block has one shape, since a matrix product of another shape may round differently.
            padding = (0, 0, 0, rows - len(block))
            best = self._best(functional.pad(block, padding), functional.pad(start, padding), codebooks)
            out.copy_(best[: len(block)])
        return found

    def _best(self, z: Tensor, greedy: Tensor, codebooks: Codebooks) -> Tensor:
        left, codes = z[:, None], greedy.new_empty(z.shape[0], 1, 0)  # (n, beam, d), (n, beam, stages so far)
        for codebook in codebooks:
            scores = codebook.square().sum(1) - 2 * left @ codebook.T + left.square().sum(-1, keepdim=True)
            kept = scores.flatten(1).topk(min(self.width, scores[0].numel()), largest=False).indices
            parents, added = kept // len(codebook), kept % len(codebook)
            codes = torch.cat([_rows(codes, parents), added[..., None]], -1)
            left = _rows(left, parents) - codebook[added]
        candidates = torch.cat([greedy[:, None], codes], 1)
        total = torch.stack([codebook[candidates[..., i]] for i, codebook in enumerate(codebooks)]).sum(0)
        best = (z[:, None] - total).square().sum(-1).argmin(1)
        return _rows(candidates, best[:, None]).squeeze(1)


def _rows(table: Tensor, chosen: Tensor) -> Tensor:
    """Of table (n, m, e) the rows chosen (n, k), (n, k, e)."""
    return table.gather(1, chosen[..., None].expand(*chosen.shape, table.shape[-1]))
