"""Where fine-tuning starts: uniform grids whose codes have a wanted entropy."""

from collections.abc import Sequence

from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.weights.soft_to_hard.centers import Centers, CentersFor, Grid

BISECTIONS = 20
EXTREMES = 2.0**-24, 2.0**6  # of steps, in norms of the weights
SAMPLE = 2**16  # entries of a tensor that its entropy is estimated from


def grids_of_entropy(weights: Sequence[Tensor], bits: float) -> CentersFor:
    """Grids, learned from then on, with which the codes of all `weights` have `bits` a weight on the whole.

    The step of a tensor goes with its norm: of all steps of that rate these make the sum of the tensors'
    relative errors, |error|^2 / |weights|^2, the least; and no tensor vanishes beside larger ones. Raises
    InvalidInputError where no step gives so few or so many bits.
    """
    low, high = EXTREMES
    most = _entropy(weights, low)
    if not 0 < bits < most:
        raise InvalidInputError(
            f"No grid gives the weights that are quantized {bits:.3g} bits each: their codes have between 0 "
            f"and {most:.3g}."
        )
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if _entropy(weights, middle) > bits else (low, middle)
    share = (low * high) ** 0.5

    def make(values: Tensor) -> Centers:
        return Grid.covering(values, share * norm(values))

    return make


def norm(weights: Tensor) -> float:
    """The root of the sum of squares, 1 where all are zero."""
    return float(weights.detach().double().square().sum()) ** 0.5 or 1.0


def _entropy(weights: Sequence[Tensor], share: float) -> float:
    """Bits a weight of the codes with this share of each norm as the step, by histograms of each tensor."""
    bits = [w.numel() * _entropy_of(w.detach().flatten(), share * norm(w)) for w in weights]
    return sum(bits) / max(sum(w.numel() for w in weights), 1)


def _entropy_of(weights: Tensor, step: float) -> float:
    sample = weights[:: max(1, len(weights) // SAMPLE)]
    counts = (sample.double() / step).round().unique(return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * shares.log2()).sum())
