"""The interface that every quantizer shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.codebook import Codebook
from barycode.quantizers.codebook.statistics import CodebookStatistics
from barycode.quantizers.core.bypass import quantization_is_off
from barycode.quantizers.core.quantized import Quantized
from barycode.simplex.nearest import compute_dtype, nearest

Initialization = Callable[[Tensor, int], Tensor]
Assigned = tuple[Codebook, Tensor, Tensor]  # a codebook, vectors (..., d), indices (...)


class Quantizer(nn.Module, ABC):
    """z (..., d) -> `Quantized`: a point p of the simplex over the codebook, and p C.

    `forward` has no side effects: codebooks move by gradient, or by `EmaUpdate()(quantizer, statistics)`.
    In evaluation mode a quantizer with discrete codes returns exactly what a decoder gets from the indices.

    Subclasses write the abstract methods for vectors that are finite, of the right dimension, and float32 or
    float64; this class checks input and takes care of dtypes and autocast.
    """

    def __init__(self, codebook_size: int, dim: int) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.dim = dim

    @abstractmethod
    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        """Quantize in the current mode (training or evaluation)."""

    @abstractmethod
    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch_parts"]:
        """The indices of the vectors: deterministic, without gradient."""

    @abstractmethod
    def decode_indices(self, indices: Int64[Tensor, "*batch_parts"]) -> Float[Tensor, "*batch d"]:
        """The vectors that the indices stand for."""

    @property
    @abstractmethod
    def codebooks(self) -> Sequence[Codebook]:
        """All the codebooks inside, in the order of `statistics`."""

    @abstractmethod
    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch_parts"]
    ) -> tuple[Assigned, ...]:
        """Each codebook, the vectors it has to code, and their indices in it; without gradient."""

    def gather_statistics(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch_parts"]
    ) -> tuple[CodebookStatistics, ...]:
        """Counts and sums for each codebook."""
        return tuple(
            CodebookStatistics.gather(vectors, part, codebook.size)
            for codebook, vectors, part in self.assigned(z, indices)
        )

    @abstractmethod
    def initialize(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        """Set every codebook from data by `method(vectors, K) -> (K, d)`, such as `kmeans` or `sample`."""

    def forward(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        """Quantize z of shape (..., d): `quantized, indices, loss = quantizer(z)`.

        Raises InvalidInputError where z is not floating point, not (..., d), or not finite.
        """
        with torch.autocast(z.device.type, enabled=False):
            result = self.quantize(self.checked(z))
        if quantization_is_off():
            return replace(result, quantized=z, loss=torch.zeros_like(result.loss), losses={})
        return replace(result, quantized=result.quantized.to(z.dtype))

    @torch.no_grad()
    def encode(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch_parts"]:
        """The indices that a file would hold, (...) or (..., parts), int64; the same alone and in a batch."""
        with torch.autocast(z.device.type, enabled=False):
            return self.encode_vectors(self.checked(z))

    def decode(self, indices: Int64[Tensor, "*batch_parts"]) -> Float[Tensor, "*batch d"]:
        """The vectors (..., d) that a decoder gets; differentiable with respect to the codebook."""
        if indices.dtype != torch.int64:
            raise InvalidInputError(f"Indices must be int64, not {indices.dtype}: convert them with .long().")
        return self.decode_indices(indices)

    def reconstruct(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """What is left of z after its file: `decode(encode(z))`."""
        return self.decode(self.encode(z))

    @torch.no_grad()
    def statistics(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch_parts"] | None = None
    ) -> tuple[CodebookStatistics, ...]:
        """What z says about each codebook, for `EmaUpdate`; moves nothing.

        `indices` that the forward pass found save a second search.
        """
        with torch.autocast(z.device.type, enabled=False):
            vectors = self.checked(z)
            found = self.encode_vectors(vectors) if indices is None else indices
            return self.gather_statistics(vectors, found)

    def extra_repr(self) -> str:
        return f"codebook_size={self.codebook_size}, dim={self.dim}"

    def checked(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """The vectors in the dtype of the computation, after the checks that raise InvalidInputError."""
        if z.ndim == 0 or z.shape[-1] != self.dim or not z.is_floating_point():
            raise InvalidInputError(
                f"{type(self).__name__} expects floating-point vectors of shape (..., {self.dim}), "
                f"not {z.dtype} of shape {tuple(z.shape)}."
            )
        # The check reads a value back from the device, which a compiled graph must not do.
        if not torch.compiler.is_compiling() and not _all_finite(z):
            raise InvalidInputError(f"{type(self).__name__} received a vector with a NaN or an infinity.")
        return z.to(compute_dtype(z))


class SingleCodebook(Quantizer, ABC):
    """A quantizer whose hard code is the index of the nearest vector of one codebook."""

    def __init__(self, codebook_size: int, dim: int) -> None:
        super().__init__(codebook_size, dim)
        self.codebook = Codebook(codebook_size, dim)

    @property
    def codebooks(self) -> Sequence[Codebook]:
        return (self.codebook,)

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch"]:
        return nearest(z, self.codebook.vectors)

    def decode_indices(self, indices: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        return functional.embedding(indices, self.codebook.vectors)

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch"]
    ) -> tuple[Assigned, ...]:
        return ((self.codebook, z, indices),)

    def initialize(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        self.codebook.load(method(z.detach().reshape(-1, self.dim), self.codebook_size))


def mean_squared_error(a: Tensor, b: Tensor) -> Tensor:
    """The mean of (a - b)^2 over all elements; 0 for an empty batch, where a plain mean is NaN."""
    return (a - b).square().sum() / max(1, a.numel())


def _all_finite(z: Tensor) -> bool:
    # One sum settles the usual case; finite values whose sum overflows get the full test.
    return bool(z.detach().sum().isfinite()) or bool(z.isfinite().all())
