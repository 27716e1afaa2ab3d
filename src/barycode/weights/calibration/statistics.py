"""The Hessian of a layer, as encoders use it: a Kronecker product of two small factors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class LayerStatistics:
    """A matrix of weights (R, J): the error E costs about sum_r rows[r] E[r] moments[g] E[r]^T.

    `rows` (R,) are mean squared gradients of the network's outputs, >= 0: how much it feels a row's output.
    `moments` (G, J, J) are second moments of a row's inputs, one for each of G equal groups of rows; None
    where they are not known, which counts as the identity.
    """

    rows: Float[Tensor, " r"]
    moments: Float[Tensor, "g j j"] | None = None


@dataclass(frozen=True)
class Calibration:
    """Statistics by the names that the parameters have in the state dict."""

    layers: Mapping[str, LayerStatistics] = field(default_factory=dict)
