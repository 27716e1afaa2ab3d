"""A quantizer behind a linear map to fewer dimensions, and a linear map back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.codebook.statistics import CodebookStatistics
from barycode.quantizers.core.arguments import whole
from barycode.quantizers.core.assignment import Assignment
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Assigned, Initialization, Quantizer, made_quantizer
from barycode.quantizers.nearest.vector import VectorQuantizer

BLOCK_ROWS = 256


class ProjectedQuantizer(Quantizer):
    """q = up(quantizer(down(z))): factorised codes (Yu et al. 2021, arXiv:2110.04627).

    `down` and `up` are learned, d -> codebook_dim -> d; `quantizer(K, codebook_dim)` works between them, so
    the projection composes with every quantizer:
    `ProjectedQuantizer(4096, 64, codebook_dim=12, quantizer=LookupFreeQuantizer)`. Losses, indices
    and weights are the inner quantizer's. `initialize` sets both maps to the principal axes of the vectors,
    and starts the inner quantizer there.
    """

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        codebook_dim: int = 8,
        quantizer: Callable[[int, int], Quantizer] = VectorQuantizer,
    ) -> None:
        super().__init__(codebook_size, dim)
        if whole("codebook_dim", codebook_dim) > dim:
            raise InvalidInputError(f"{dim} dimensions cannot be projected onto {codebook_dim}.")
        self.codebook_dim = codebook_dim
        self.down = nn.Linear(dim, codebook_dim)
        self.quantizer = made_quantizer(quantizer, codebook_size, codebook_dim)
        self.up = nn.Linear(codebook_dim, dim)

    @property
    def codebooks(self) -> Sequence[Codebook]:
        return self.quantizer.codebooks

    def parts(self, indices: Int64[Tensor, "*batch_parts"]) -> tuple[Int64[Tensor, "*batch"], ...]:
        return self.quantizer.parts(indices)

    def require_known(self, indices: Int64[Tensor, "*batch_parts"]) -> None:
        self.quantizer.require_known(indices)

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        result = self.quantizer.quantize(_apply(self.down, z))
        return replace(result, quantized=self._lifted(result.quantized).to(z.dtype))

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch_parts"]:
        return self.quantizer.encode_vectors(_apply(self.down, z))

    def decode_indices(self, indices: Int64[Tensor, "*batch_parts"]) -> Float[Tensor, "*batch d"]:
        return self._lifted(self.quantizer.decode_indices(indices))

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch_parts"]
    ) -> tuple[Assigned, ...]:
        return self.quantizer.assigned(_apply(self.down, z).detach(), indices)

    def gather_statistics(
        self,
        z: Float[Tensor, "*batch d"],
        indices: Int64[Tensor, "*batch_parts"],
        weights: Assignment | None = None,
    ) -> tuple[CodebookStatistics, ...]:
        return self.quantizer.gather_statistics(_apply(self.down, z).detach(), indices, weights)

    def usage(
        self, indices: Int64[Tensor, "*batch_parts"], weights: Assignment
    ) -> tuple[Float[Tensor, " k"], ...]:
        return self.quantizer.usage(indices, weights)

    @torch.no_grad()
    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        vectors = z.reshape(-1, self.dim).double()
        mean = vectors.mean(0)
        centered = vectors - mean
        axes = torch.linalg.eigh(centered.T @ centered).eigenvectors[:, -self.codebook_dim :]
        self.down.weight.copy_(axes.T)
        self.down.bias.copy_(-mean @ axes)
        self.up.weight.copy_(axes)
        self.up.bias.copy_(mean)
        self.quantizer.initialize_from(_apply(self.down, z), method)

    def _lifted(self, codes: Tensor) -> Tensor:
        """`up` in its own dtype, whatever that of z: a decoder knows no z."""
        return _apply(self.up, codes.to(self.up.weight.dtype))


def _apply(linear: nn.Linear, x: Tensor) -> Tensor:
    """The linear map, in blocks of one shape: a vector gets the same value alone and in a batch."""
    dtype = torch.promote_types(x.dtype, linear.weight.dtype)
    weight, bias = linear.weight.to(dtype), linear.bias.to(dtype)
    if torch.compiler.is_exporting():  # a graph whose batch has no size yet
        return functional.linear(x.to(dtype), weight, bias)
    rows = x.to(dtype).reshape(-1, x.shape[-1])
    count = len(rows)
    padded = functional.pad(rows, (0, 0, 0, -count % BLOCK_ROWS))
    blocks = [functional.linear(block, weight, bias) for block in padded.split(BLOCK_ROWS)]
    return torch.cat(blocks)[:count].reshape(*x.shape[:-1], linear.out_features)
