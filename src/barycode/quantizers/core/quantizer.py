"""The interface that every quantizer shares."""

from __future__ import annotations

import warnings
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
from barycode.quantizers.core.arguments import kind_of, whole
from barycode.quantizers.core.assignment import Assignment
from barycode.quantizers.core.bypass import quantization_is_off
from barycode.quantizers.core.quantized import Quantized
from barycode.simplex.nearest import compute_dtype, nearest

COLLAPSED = 10  # one code vector in so many is used where a codebook is said not to fit
Initialization = Callable[[Tensor, int], Tensor]
Assigned = tuple[Codebook, Tensor, Tensor]  # a codebook, vectors (..., d), indices (...)


class CollapseWarning(UserWarning):
    """Nearly all code vectors are far from the data."""


class Quantizer(nn.Module, ABC):
    """z (..., d) -> `Quantized`: a point p of the simplex over the codebook, and p C.

    `forward` has no side effects: codebooks move by gradient, or by `EmaUpdate()(quantizer, statistics)`.
    In evaluation mode a quantizer with discrete codes returns exactly what a decoder gets from the indices.

    Subclasses write the abstract methods for vectors that are finite, of the right dimension, and float32 or
    float64; this class checks input and takes care of dtypes and autocast.
    """

    def __init__(self, codebook_size: int, dim: int) -> None:
        super().__init__()
        self.codebook_size = whole("codebook_size", codebook_size)
        self.dim = whole("dim", dim)
        self._looked = False  # whether a batch was seen whose codes tell if the codebook fits the data

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
        self,
        z: Float[Tensor, "*batch d"],
        indices: Int64[Tensor, "*batch_parts"],
        weights: Assignment | None = None,
    ) -> tuple[CodebookStatistics, ...]:
        """Counts and sums for each codebook; `weights` that a forward pass returned save a second solve."""
        return tuple(
            CodebookStatistics.gather(vectors, part, codebook.size)
            for codebook, vectors, part in self.assigned(z, indices)
        )

    @abstractmethod
    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        """Set every codebook from vectors that were checked."""

    def forward(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        """Quantize z of shape (..., d): `quantized, indices, loss = quantizer(z)`.

        Raises InvalidInputError where z is not floating point, not (..., d), or not finite.
        """
        vectors = self.checked(z)
        with torch.autocast(z.device.type, enabled=False):
            result = self.quantize(vectors)
        if self.training and not torch.compiler.is_compiling() and not self._looked:
            self._look(result.indices, vectors[..., 0].numel())
        if quantization_is_off():
            return replace(result, quantized=z, loss=torch.zeros_like(result.loss), losses={})
        return replace(result, quantized=result.quantized.to(z.dtype))

    @torch.no_grad()
    def encode(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch_parts"]:
        """The indices that a file would hold, (...) or (..., parts), int64; the same alone and in a batch."""
        vectors = self.checked(z)
        with torch.autocast(z.device.type, enabled=False):
            return self.encode_vectors(vectors)

    def decode(self, indices: Int64[Tensor, "*batch_parts"]) -> Float[Tensor, "*batch d"]:
        """The vectors (..., d) that a decoder gets; differentiable with respect to the codebook.

        Raises InvalidInputError where the indices are not int64, of another shape, or not from 0 to K - 1.
        """
        if not isinstance(indices, Tensor) or indices.dtype != torch.int64:
            raise InvalidInputError(f"Indices must be an int64 tensor, not {kind_of(indices)}.")
        if not torch.compiler.is_compiling() and indices.numel():
            self.require_known(indices)
        return self.decode_indices(indices)

    def require_known(self, indices: Int64[Tensor, "*batch_parts"]) -> None:
        """InvalidInputError where an index has no code vector."""
        require_range(indices, self.codebook_size)

    def reconstruct(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """What is left of z after its file: `decode(encode(z))`."""
        return self.decode(self.encode(z))

    def initialize(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        """Set every codebook from data by `method(vectors, K) -> (K, d)`, such as `kmeans` or `sample`.

        Raises InvalidInputError for vectors (..., d) that are of another d or not finite.
        """
        if not callable(method):
            raise InvalidInputError(
                f"A codebook starts by a function (vectors, K) -> (K, d), such as kmeans, not {method!r}."
            )
        self.initialize_from(self.checked(z.detach() if isinstance(z, Tensor) else z), method)

    @torch.no_grad()
    def statistics(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch_parts"] | None = None
    ) -> tuple[CodebookStatistics, ...]:
        """What z says about each codebook, for `EmaUpdate`; moves nothing.

        `indices` that the forward pass found save a second search.
        """
        vectors = self.checked(z)
        with torch.autocast(z.device.type, enabled=False):
            found = self.encode_vectors(vectors) if indices is None else indices
            return self.gather_statistics(vectors, found)

    def parts(self, indices: Int64[Tensor, "*batch_parts"]) -> tuple[Int64[Tensor, "*batch"], ...]:
        """The indices into each codebook, in the order of `codebooks`; of fewer stages, fewer."""
        return (indices,)

    def usage(
        self, indices: Int64[Tensor, "*batch_parts"], weights: Assignment
    ) -> tuple[Float[Tensor, " k"], ...]:
        """How often a result chose each code vector of each codebook: 0 for those that may move away."""
        sizes = [codebook.size for codebook in self.codebooks]
        counts = [
            torch.bincount(part.flatten(), minlength=size)
            for part, size in zip(self.parts(indices), sizes, strict=False)
        ]
        unused = [indices.new_zeros(size) for size in sizes[len(counts) :]]  # of later stages
        return tuple(count.double() for count in [*counts, *unused])

    def extra_repr(self) -> str:
        settings = {
            name: value for name, value in vars(self).items() if name[0] != "_" and name != "training"
        }
        return ", ".join(f"{name}={getattr(value, '__name__', value)}" for name, value in settings.items())

    def _look(self, indices: Tensor, count: int) -> None:
        """Warn once, of the first batch of K vectors or more, if hardly any code vector is used for it."""
        size = min((codebook.size for codebook in self.codebooks[:1]), default=count + 1)
        if count < size:
            return
        self._looked = True
        used = indices.reshape(count, -1)[:, 0].unique().numel()
        if used * COLLAPSED < size:
            warnings.warn(
                f"Only {used} of {size} code vectors are near any of {count} vectors: the codebook does not "
                "fit the data. Start it by `quantizer.initialize(z, kmeans)`, or let a CodebookMaintenance "
                "start it and keep it alive.",
                CollapseWarning,
                stacklevel=3,
            )

    def checked(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """The vectors in the dtype of the computation, after the checks that raise InvalidInputError."""
        tensor = isinstance(z, Tensor)
        if not tensor or z.ndim == 0 or z.shape[-1] != self.dim or not z.is_floating_point():
            channels_first = tensor and z.ndim > 2 and z.shape[1] == self.dim
            raise InvalidInputError(
                f"{type(self).__name__} expects a tensor of floating-point vectors (..., {self.dim}), "
                f"not {kind_of(z)}."
                + " For maps with channels first there is FeatureMap(quantizer)."
                * channels_first
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

    def vectors(self) -> Float[Tensor, "k d"]:
        """The code vectors that z is compared with: the codebook's, or what the quantizer makes of them."""
        return self.codebook.vectors

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch"]:
        return nearest(z, self.vectors())

    def decode_indices(self, indices: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        return functional.embedding(indices, self.vectors())

    def assigned(
        self, z: Float[Tensor, "*batch d"], indices: Int64[Tensor, "*batch"]
    ) -> tuple[Assigned, ...]:
        return ((self.codebook, z, indices),)

    def initialize_from(self, z: Float[Tensor, "*batch d"], method: Initialization) -> None:
        self.codebook.load(method(z.detach().reshape(-1, self.dim), self.codebook_size))


def made_quantizer(make: Callable[[int, int], Quantizer], codebook_size: int, dim: int) -> Quantizer:
    """The quantizer of a part of a composed one; InvalidInputError if `make` makes something else."""
    made = make(codebook_size, dim) if callable(make) else make
    if not isinstance(made, Quantizer):
        raise InvalidInputError(
            f"`quantizer` makes a Quantizer by (K, d), such as VectorQuantizer, not {made!r}."
        )
    return made


def require_range(indices: Int64[Tensor, "..."], size: int) -> None:
    """InvalidInputError where an index is not from 0 to size - 1."""
    low, high = (int(bound) for bound in indices.aminmax()) if indices.numel() else (0, 0)
    if low < 0 or high >= size:
        raise InvalidInputError(f"Indices must be from 0 to {size - 1}, but they go from {low} to {high}.")


def mean_squared_error(a: Tensor, b: Tensor) -> Tensor:
    """The mean of (a - b)^2 over all elements; 0 for an empty batch, where a plain mean is NaN."""
    return (a - b).square().sum() / max(1, a.numel())


def _all_finite(z: Tensor) -> bool:
    # One sum settles the usual case; finite values whose sum overflows get the full test.
    return bool(z.detach().sum().isfinite()) or bool(z.isfinite().all())
