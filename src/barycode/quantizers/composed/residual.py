"""Residual vector quantization: each stage quantizes what the stages before it left over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.composed.residual_search import GreedySearch, ResidualSearch
from barycode.quantizers.composed.stage_dropout import StageDropout
from barycode.quantizers.core.arguments import first_stages, kind_of, stage_indices, whole
from barycode.quantizers.core.assignment import ProductAssignment
from barycode.quantizers.core.estimators import Estimator, checked_estimator, straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Assigned, Initialization, Quantizer, require_range
from barycode.quantizers.nearest.vector import VectorQuantizer

STAGES = 4


@dataclass(frozen=True)
class SharedStages:
    """So many stages of a residual quantizer that share one codebook."""

    count: int

    def __post_init__(self) -> None:
        whole("count", self.count)


class ResidualQuantizer(Quantizer):
    """q = c^1 + ... + c^m, where c^i is the code vector of stage i nearest to z - c^1 - ... - c^(i-1).

    Indices (..., stages), of which any number of the first ones decodes: `decode(encode(z, stages=2))`.
    `codebook_size` is K of every stage, or a list with K of each; every stage has a codebook of its own, but
    those of `stages=SharedStages(8)`. `search` finds the codes, `BeamSearch(8)` better ones than the default.
    With `dropout=StageDropout()` a training batch uses a random number of the first stages, and its indices
    are those. The gradient passes the whole sum at once by the estimator; the losses of the stages add up
    (Lee et al. 2022, eq. 7).
    """

    def __init__(
        self,
        codebook_size: int | Sequence[int],
        dim: int,
        *,
        stages: int | SharedStages | None = None,
        search: ResidualSearch = GreedySearch(),  # noqa: B008  frozen
        dropout: StageDropout | None = None,
        commitment_weight: float = 0.25,
        estimator: Estimator = straight_through,
    ) -> None:
        sizes, shared = _sizes(codebook_size, stages)
        super().__init__(max(sizes), dim)
        self.stage_count = len(sizes)
        self.stages = nn.ModuleList(
            VectorQuantizer(size, dim, commitment_weight=commitment_weight)
            for size in (sizes[:1] if shared else sizes)
        )
        self.search = _checked_search(search)
        self.dropout = _checked_dropout(dropout, len(sizes))
        self.estimator = checked_estimator(estimator)

    @property
    def codebooks(self) -> Sequence[Codebook]:
        """One for each stage, or the one that all share."""
        return tuple(cast(VectorQuantizer, stage).codebook for stage in self.stages)

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        count = self.stage_count
        if self.training and self.dropout is not None:
            count = self.dropout.draw(count, z.device)
        indices = self._search(z, count)
        results = [stage.quantize_to(part, residual) for stage, residual, part in self._walk(z, indices)]
        return Quantized(
            quantized=self.estimator(z, self.decode_indices(indices).to(z.dtype)),
            indices=indices,
            loss=torch.stack([result.loss for result in results]).sum(),
            weights=ProductAssignment(tuple(result.weights for result in results)),
            losses={
                name: torch.stack([result.losses[name] for result in results]).sum()
                for name in results[0].losses
            },
        )

    @torch.no_grad()
    def encode(
        self, z: Float[Tensor, "*batch d"], stages: int | None = None
    ) -> Int64[Tensor, "*batch stages"]:
        """The indices (..., stages) of all the stages, or of the first ones alone, int64."""
        count = first_stages(stages, self.stage_count)
        vectors = self.checked(z)
        with torch.autocast(z.device.type, enabled=False):
            return self._search(vectors, count)

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch stages"]:
        return self._search(z, self.stage_count)

    def decode_indices(self, indices: Int64[Tensor, "*batch stages"]) -> Float[Tensor, "*batch d"]:
        total = torch.zeros_like(self.codebooks[0].vectors[0])
        for stage, part in self._stages_of(indices):
            total = total + stage.decode_indices(part)
        return total

    def decode_stages(self, indices: Int64[Tensor, "*batch stages"]) -> Float[Tensor, "*batch stages d"]:
        """The code vector of each stage, (..., stages, d), which `decode` adds up."""
        self.require_known(indices)
        return torch.stack([stage.decode_indices(part) for stage, part in self._stages_of(indices)], -2)

    def parts(self, indices: Int64[Tensor, "*batch stages"]) -> tuple[Int64[Tensor, "*batch"], ...]:
        parts = tuple(part for _, part in self._stages_of(indices))
        return parts if len(self.stages) == self.stage_count else (indices,)

    @torch.no_grad()
    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch stages"]
    ) -> tuple[Assigned, ...]:
        residuals = [residual for _, residual, _ in self._walk(z, indices)]
        if len(self.stages) < self.stage_count:  # shared
            return ((self.codebooks[0], torch.stack(residuals, -2), indices),)
        unused = [(z[..., :0, :].reshape(0, self.dim), indices.new_empty(0))] * self.stage_count
        seen = [*zip(residuals, indices.unbind(-1), strict=True), *unused]
        return tuple((codebook, *entry) for codebook, entry in zip(self.codebooks, seen, strict=False))

    def require_known(self, indices: Int64[Tensor, "*batch stages"]) -> None:
        for stage, part in self._stages_of(indices):
            require_range(part, stage.codebook_size)

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        residual = z.detach()
        for stage in self._stages()[: len(self.stages)]:
            stage.initialize_from(residual, method)
            residual = residual - stage.reconstruct(residual)
        if len(self.stages) < self.stage_count:  # once more, for what all the stages have to code
            _, residuals, _ = self.assigned(z, self.encode_vectors(z))[0]
            self._stages()[0].initialize_from(residuals, method)

    def _search(self, z: Tensor, count: int) -> Tensor:
        codebooks = [stage.codebook.vectors.detach() for stage in self._stages()[:count]]
        with torch.no_grad():
            return self.search(z.detach().reshape(-1, self.dim), codebooks).reshape(*z.shape[:-1], count)

    def _walk(self, z: Tensor, indices: Tensor) -> Iterator[tuple[VectorQuantizer, Tensor, Tensor]]:
        """Each stage that is used, the residual it sees, and its indices."""
        total = torch.zeros_like(self.codebooks[0].vectors[0])
        for stage, part in self._stages_of(indices):
            yield stage, z - total.detach(), part
            total = total + stage.decode_indices(part)

    def _stages_of(self, indices: Tensor) -> Iterator[tuple[VectorQuantizer, Tensor]]:
        """Each stage that the indices name, and its part of them."""
        return zip(self._stages(), stage_indices(indices, self.stage_count), strict=False)

    def _stages(self) -> list[VectorQuantizer]:
        stages = [cast(VectorQuantizer, stage) for stage in self.stages]
        return stages if len(stages) == self.stage_count else stages * self.stage_count


def _sizes(codebook_size: object, stages: object) -> tuple[list[int], bool]:
    """K of each stage, and whether the stages share a codebook."""
    if isinstance(codebook_size, Sequence) and not isinstance(codebook_size, str):
        if stages is not None or not codebook_size:
            raise InvalidInputError(
                "A list with K of each stage says how many there are: leave `stages` out."
            )
        return [whole("codebook_size", size) for size in codebook_size], False
    shared = isinstance(stages, SharedStages)
    count = stages.count if isinstance(stages, SharedStages) else stages
    size = whole("codebook_size", codebook_size)
    return [size] * whole("stages", STAGES if count is None else count), shared


def _checked_search(search: ResidualSearch) -> ResidualSearch:
    if not callable(search):
        raise InvalidInputError(f"`search` is an object such as BeamSearch(8), not {kind_of(search)}.")
    return search


def _checked_dropout(dropout: StageDropout | None, stages: int) -> StageDropout | None:
    if dropout is not None and not isinstance(dropout, StageDropout):
        raise InvalidInputError(f"`dropout` is a StageDropout or None, not {kind_of(dropout)}.")
    if dropout is not None and max(dropout.choices, default=1) > stages:
        raise InvalidInputError(f"{dropout} chooses more than the {stages} stages there are.")
    return dropout
