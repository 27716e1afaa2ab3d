"""What is said of a code before it is known: a scale class and a mean, both integers in the end.

A code is described by a zero-centred table: the mean is rounded to eighths, its integer part is subtracted
and its sign folded away, and the scale picks one of 56 geometric classes. Beyond class 28 a code is cut: its
low bits, one more an octave, are as good as uniform, and what is above them has the table of four octaves'
worth of classes below. So all codes of a family share SCALES x FRACTIONS tables, fitted to counts, with the
Laplacian below as prior and as the training loss.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CLASSES = 56  # of scale
SCALES = 28  # of them have tables of their own
FRACTIONS = 5  # |mean| of 0, 1/8 ... 4/8 once the nearest integer is subtracted
ROWS = SCALES * FRACTIONS
LIMIT = 20  # symbols -20 ... 20, the two ends being escapes
SCALE_UNIT = 8  # the networks' output units per scale class
MEAN_UNIT = 32  # ... and per code
SMALLEST_SCALE = 0.04
CLASSES_AN_OCTAVE = 4
_OCTAVE_BITS, _MEAN_BITS = CLASSES_AN_OCTAVE.bit_length() - 1, MEAN_UNIT.bit_length() - 1


@dataclass(frozen=True)
class Classes:
    """Table row, integer part of the mean, sign (+1, -1), and the number of low bits that are not under the
    table, int32, each of the shape of the codes.
    """

    row: Tensor
    shift: Tensor
    sign: Tensor
    low: Tensor

    def at(self, chosen: Tensor) -> "Classes":
        """Those of some of the codes (n,): a mask of their shape, or their places in a flat row of all."""
        if chosen.dtype == torch.bool:
            chosen = chosen.flatten().nonzero()[:, 0]
        return Classes(*(part.flatten()[chosen] for part in (self.row, self.shift, self.sign, self.low)))

    def symbols(self, codes: Tensor) -> Tensor:
        return (codes - self.shift) * self.sign

    def codes(self, symbols: Tensor) -> Tensor:
        return symbols * self.sign + self.shift

    def split(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Integer symbols as what the table knows and the low bits: high * 2**low + rest - 2**low // 2."""
        if not self.low.any():  # most often
            return symbols, torch.zeros_like(symbols)
        half = (1 << self.low) >> 1
        high = (symbols + half) >> self.low
        return high, symbols + half - (high << self.low)

    def join(self, high: Tensor, rest: Tensor) -> Tensor:
        """The inverse of `split`."""
        if not self.low.any():
            return high
        return (high << self.low) + rest - ((1 << self.low) >> 1)


@dataclass(frozen=True)
class Prediction:
    """`scale` in classes, `mean` in codes; multiples of 2**-SHIFT network units, hence exact in float32."""

    scale: Tensor
    mean: Tensor

    def at(self, mask: Tensor) -> "Prediction":
        """Those (n,) of some of the codes."""
        return Prediction(self.scale[mask], self.mean[mask])

    def transposed(self) -> "Prediction":
        """(B, places, bands) as (B, bands, places)."""
        return Prediction(self.scale.mT.contiguous(), self.mean.mT.contiguous())

    def classes(self, family: int) -> Classes:
        """The integers that the entropy coder sees. Floors of exact dyadic numbers: equal on every machine"""
        scale = self.scale.clamp(0, CLASSES - 1).int()
        low = ((scale - (SCALES - CLASSES_AN_OCTAVE)) >> _OCTAVE_BITS).clamp_(min=0)
        mean = (self.mean * MEAN_UNIT).floor_().int()
        shift = (mean + MEAN_UNIT // 2) >> _MEAN_BITS
        rest = mean.sub_(shift << _MEAN_BITS)
        fraction = rest.abs().add_(MEAN_UNIT // 16) >> (_MEAN_BITS - 3)
        if low.any():  # seldom
            scale, fraction = scale.sub_(low << _OCTAVE_BITS), fraction >> low
        row = scale.mul_(FRACTIONS).add_(fraction).add_(family * ROWS)
        sign = rest.bitwise_right_shift_(31).bitwise_or_(1)
        return Classes(row, shift, sign, low)


def laplacian_bits(codes: Tensor, prediction: Prediction, dead_zone: Tensor | float) -> Tensor:
    """-log2 of the Laplacian mass of each code's cell: the differentiable code length the networks are
    trained with.

    Cells are those of a dead-zone quantizer: zero covers -t ... t, the code k > 0 covers k - 1 + t ... k + t.
    """
    scale = SMALLEST_SCALE * 2 ** (prediction.scale.clamp(0, CLASSES) / CLASSES_AN_OCTAVE)
    magnitude = codes.abs()
    mean = torch.where(codes < 0, -prediction.mean, prediction.mean)
    low = torch.where(magnitude == 0, -dead_zone, magnitude - 1 + dead_zone)
    from_mean = (low - mean) / scale
    to_mean = (magnitude + dead_zone - mean) / scale
    tail = torch.log(-torch.expm1(from_mean - to_mean)) - math.log(2)
    around = 1 - (torch.exp(from_mean.clamp(max=0)) + torch.exp(-to_mean.clamp(min=0))) / 2
    beyond = torch.where(to_mean < 0, tail + to_mean.clamp(max=0), around.clamp(min=1e-7).log())
    return torch.where(from_mean > 0, tail - from_mean.clamp(min=0), beyond) / -math.log(2)


def laplacian_tables(dead_zone: float) -> Tensor:
    """(ROWS, 2 LIMIT + 1) probabilities: the prior of a family's tables, ends included as tails."""
    scale = torch.arange(SCALES).repeat_interleave(FRACTIONS)[:, None] + 0.5
    mean = torch.arange(FRACTIONS).repeat(SCALES)[:, None] / 8
    symbols = torch.arange(-LIMIT, LIMIT + 1).double()
    mass = 2 ** -laplacian_bits(
        symbols.expand(ROWS, -1), Prediction(scale.double(), mean.double()), dead_zone
    )
    ends = torch.zeros_like(mass)
    ends[:, [0, -1]] = mass[:, [0, -1]]  # a geometric tail beyond the last symbol, at most doubling it
    mass = mass + ends
    return mass / mass.sum(1, keepdim=True)
