"""Soft Convex Quantization: the best convex combination of code vectors, hardened to a few of them."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.statistics import CodebookStatistics
from barycode.quantizers.convex.programs import ConvexProgram, ExactProgram, RelaxedProgram
from barycode.quantizers.convex.sparse_code import SparseCode
from barycode.quantizers.core.arguments import nonnegative
from barycode.quantizers.core.assignment import Assignment, LazyAssignment, SparseAssignment
from barycode.quantizers.core.estimators import straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import SingleCodebook, mean_squared_error
from barycode.simplex.sparse import scatter

STATISTICS_ROWS = 1024
UNUSED = 1e-3  # of a fair share; nothing is gained by wanting less of a code vector than that
VERTEX = SparseCode()  # what the indices name when there is no code


class SoftConvexQuantizer(SingleCodebook):
    """q = p C with p = argmin over the simplex of ||z - p C||^2 + lambda ||p - p~||^2 (Gautam et al. 2023).

    p~ is the vertex of the nearest code vector; `program` is `ExactProgram` or `RelaxedProgram`. p is
    continuous: no file has room for it. What a file holds is a `code`, p with few non-zero weights on a grid;
    training moves there by `anneal_to`, from hardness 0 (p of the program) to 1 (p of the code, with the
    gradient of the program), and evaluation is there already: it returns what a decoder gets. `code=None`:
    the bottleneck stays continuous, evaluation too, and the indices merely name p~.

    loss = codebook_loss + commitment_weight * commitment_loss, the mean of (p C - z)^2 twice: the first moves
    only the codebook (in training, with p held), the second only z. A usage_weight adds, in training,
    usage_weight * usage_loss: log K minus the entropy of the batch's mean p, in nats, which moves both until
    every code vector carries its share. It needs the exact program: the relaxation's p has no gradient.
    """

    hardness: Tensor

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        program: ConvexProgram = ExactProgram(),  # noqa: B008  frozen
        code: SparseCode | None = SparseCode(),  # noqa: B008  frozen
        commitment_weight: float = 0.25,
        usage_weight: float = 0.0,
    ) -> None:
        super().__init__(codebook_size, dim)
        self.commitment_weight = nonnegative("commitment_weight", commitment_weight)
        self.usage_weight = nonnegative("usage_weight", usage_weight)
        if not callable(getattr(program, "combine", None)):
            raise InvalidInputError(f"The program is an object such as ExactProgram(), not {program!r}.")
        if code is not None and not isinstance(code, SparseCode):
            raise InvalidInputError(f"The code is a SparseCode or None, not {code!r}.")
        if usage_weight and isinstance(program, RelaxedProgram):
            raise InvalidInputError(
                f"The usage weight must be 0 for the relaxed program, whose p has no gradient, "
                f"not {usage_weight}."
            )
        self.program = program
        self.code = code
        self.register_buffer("hardness", torch.zeros(()))

    def anneal_to(self, hardness: float) -> None:
        """Set how far training is on the way from the program's p (0) to the code's (1).

        Raises InvalidInputError beyond these, and for any but 0 without a code.
        """
        if nonnegative("hardness", hardness) > 1 or (hardness and self.code is None):
            raise InvalidInputError(
                f"The hardness must be from 0 to 1, and 0 without a code, not {hardness} with {self.code}."
            )
        self.hardness.fill_(hardness)

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        indices = self.encode_vectors(z)
        if self.training or self.code is None:
            return self._anneal(z, indices)
        weights = self.code.weights(indices, self.codebook_size, z.dtype)
        quantized = self.decode_indices(indices)
        loss = mean_squared_error(z, quantized.detach())
        through = straight_through(z, quantized)
        return Quantized(through, indices, self.commitment_weight * loss, weights, {"commitment_loss": loss})

    def soft(self, z: Float[Tensor, "*batch d"]) -> Assignment:
        """The program's weights, whatever the mode and the hardness."""
        return _shaped(self.program(*self._flat(self.checked(z))), z)

    def encode_vectors(self, z: Float[Tensor, "*batch d"]) -> Int64[Tensor, "*batch_indices"]:
        return (self.code or VERTEX).encode(z, self.codebook.vectors)

    def decode_indices(self, indices: Int64[Tensor, "*batch_indices"]) -> Float[Tensor, "*batch d"]:
        return (self.code or VERTEX).decode(indices, self.codebook.vectors)

    def usage(
        self, indices: Int64[Tensor, "*batch_indices"], weights: Assignment
    ) -> tuple[Float[Tensor, " k"], ...]:
        """The indices; without a code p itself, since corners of a hull are nearest to few vectors."""
        return (weights.total().double(),) if self.code is None else super().usage(indices, weights)

    def gather_statistics(
        self,
        z: Float[Tensor, "*batch d"],
        indices: Int64[Tensor, "*batch_indices"],
        weights: Assignment | None = None,
    ) -> tuple[CodebookStatistics, ...]:
        """Each vector wants its error z - p C gone, and asks c_k for c_k + z - p C with the weight p_k.

        Moving the code vectors to the means of what they are asked for never raises sum ||z - p C||^2, since
        ||e - sum p_k m_k||^2 <= sum p_k ||e - m_k||^2 (Jensen). At the vertices it is the step of k-means.
        """
        vectors = self.codebook.vectors.detach().double()
        point = self._weights_to_move_by(z, indices, weights)
        counts, asked = torch.zeros_like(vectors[:, 0]), torch.zeros_like(vectors)
        places = point.indices.reshape(-1, point.indices.shape[-1])
        parts = (z.reshape(-1, self.dim), places, point.values.detach().reshape(places.shape))
        for block, chosen, values in zip(*(part.split(STATISTICS_ROWS) for part in parts), strict=True):
            p = scatter(values.double(), chosen, self.codebook_size)
            counts += p.sum(0)
            asked += p.T @ (block.double() - p @ vectors)
        return (CodebookStatistics(counts, counts[:, None] * vectors + asked),)

    def _weights_to_move_by(self, z: Tensor, indices: Tensor, known: Assignment | None) -> SparseAssignment:
        if self.code is not None and self.hardness == 1:
            return self.code.weights(indices, self.codebook_size, z.dtype)
        if isinstance(known, LazyAssignment):
            return known.point
        return self._mixed(_shaped(self.program(*self._flat(z)), z), indices)

    def _anneal(self, z: Tensor, indices: Tensor) -> Quantized:
        """(1 - h) p C of the program + h p C of the code, with the gradient of the program for z."""
        vertex = indices.flatten() if (self.code or VERTEX).support == 1 else None
        found = self.program.combine(*self._flat(z), vertex)
        quantized, held = found.combined.reshape(z.shape), found.held.reshape(z.shape)
        if self.code is not None and (torch.compiler.is_compiling() or self.hardness > 0):
            hardness = self.hardness.to(z.dtype)
            moved = hardness * (self.decode_indices(indices) - held)
            quantized, held = quantized + moved, held + moved
        losses = {"commitment_loss": mean_squared_error(z, quantized.detach())}
        loss = self.commitment_weight * losses["commitment_loss"]
        if self.codebook.vectors.requires_grad:
            losses["codebook_loss"] = mean_squared_error(held, z.detach())
            loss = loss + losses["codebook_loss"]
        if self.usage_weight:
            losses["usage_loss"] = unevenness(found.total()) if z.numel() else z.sum()
            loss = loss + self.usage_weight * losses["usage_loss"]
        weights: Assignment
        if torch.compiler.is_compiling():  # a graph returns no functions
            weights = self._mixed(_shaped(found.weights(), z), indices)
        else:
            weights = LazyAssignment(
                lambda: self._mixed(_shaped(found.weights(), z), indices), self.codebook_size
            )
        return Quantized(quantized, indices, loss, weights, losses)

    def _mixed(self, soft: SparseAssignment, indices: Tensor) -> SparseAssignment:
        """(1 - h) p of the program + h p of the code, with the gradient of the program."""
        if self.code is None or (not torch.compiler.is_compiling() and self.hardness == 0):
            return soft
        hard = self.code.weights(indices, self.codebook_size, soft.values.dtype)
        hardness = self.hardness.to(soft.values.dtype)
        values = torch.cat([soft.values - hardness * soft.values.detach(), hardness * hard.values], -1)
        return SparseAssignment(torch.cat([soft.indices, hard.indices], -1), values, self.codebook_size)

    def _flat(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z.reshape(-1, self.dim), self.codebook.vectors.to(z.dtype)


def unevenness(totals: Float[Tensor, " k"]) -> Float[Tensor, ""]:
    """log K minus the entropy of the shares of `totals`, in nats: 0 where all are equal."""
    share = totals / totals.sum()
    return math.log(len(share)) + (share * share.clamp(min=UNUSED / len(share)).log()).sum()


def _shaped(weights: SparseAssignment, z: Tensor) -> SparseAssignment:
    """The weights of vectors (n, d) as those of z (..., d)."""
    shape = (*z.shape[:-1], weights.values.shape[-1])
    return replace(weights, indices=weights.indices.reshape(shape), values=weights.values.reshape(shape))
