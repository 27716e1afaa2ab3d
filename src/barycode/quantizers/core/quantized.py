"""The one result type that every quantizer returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float, Int64
from torch import Tensor

from barycode.quantizers.core.assignment import Assignment


@dataclass(frozen=True)
class Quantized:
    """What a quantizer made of z; unpacks as `quantized, indices, loss = quantizer(z)`.

    quantized: (..., d), the shape and dtype of z; differentiable with respect to z.
    indices: (...), or (..., parts) for residual and product codes; int64.
    loss: scalar, the weighted sum of `losses` that the quantizer asks the training loss to include.
    weights: the point of the simplex, an `Assignment`.
    losses: the named terms before weighting, such as `codebook_loss` and `commitment_loss`.
    """

    quantized: Float[Tensor, "*batch d"]
    indices: Int64[Tensor, "*batch_or_parts"]
    loss: Float[Tensor, ""]
    weights: Assignment
    losses: Mapping[str, Tensor] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.quantized, self.indices, self.loss))
