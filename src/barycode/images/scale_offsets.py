"""How much wider or narrower the codes of one tile are than the context networks expect.

The networks are trained on many pictures, and one picture is sharper or smoother than most. So a tile says,
for every family of tables, by how many half scale classes its predictions are to be moved: three bits each,
where they earn more than they cost. Offsets are multiples of a half, so classes stay exact.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from barycode.errors import CorruptFileError
from barycode.images.prediction import CLASSES, MEAN_UNIT, Prediction
from barycode.images.rate_distortion import code_bits
from barycode.images.walk import FAMILIES, Step
from barycode.rate import SymbolDecoder, SymbolEncoder

BITS = 3
STEPS_A_CLASS = 2
LOWEST = -(2 ** (BITS - 1))
OPTIONS = np.arange(LOWEST, LOWEST + 2**BITS)  # in half classes
AT_ONCE = 2**14  # codes that are weighed together, under every offset
COST = 1 + BITS * FAMILIES  # bits of a tile that has any


@dataclass(frozen=True)
class ScaleOffsets:
    """Of each family, int64 (FAMILIES,) in half scale classes from -4 to 3."""

    halves: np.ndarray

    @classmethod
    def none(cls) -> "ScaleOffsets":
        return cls(np.zeros(FAMILIES, np.int64))

    def applied(self, step: Step) -> Step:
        """The step with its predicted scales moved."""
        offset = float(self.halves[step.family]) / STEPS_A_CLASS
        if offset == 0:
            return step
        return replace(step, prediction=_moved(step.prediction, offset))

    def write(self, coder: SymbolEncoder) -> None:
        given = bool(self.halves.any())
        coder.encode_uniform(np.array([int(given)]), 1)
        if given:
            coder.encode_uniform(self.halves - LOWEST, BITS)

    @classmethod
    def read(cls, decoder: SymbolDecoder) -> "ScaleOffsets":
        """What `write` wrote; CorruptFileError where none are written as some."""
        if not decoder.decode_uniform(1, 1)[0]:
            return cls.none()
        halves = decoder.decode_uniform(FAMILIES, BITS) + LOWEST
        if not halves.any():
            raise CorruptFileError("A tile has offsets of its scales that are all zero: the file is damaged.")
        return cls(halves)


@torch.inference_mode()
def fit_offsets(written: Iterable[tuple[Step, Tensor]], lengths: Tensor) -> ScaleOffsets:
    """The offsets under which codes (B, bands, places), written without any, take the fewest bits.

    `lengths` (rows, symbols) bits of every table. None where they do not earn their own cost.
    """
    bits = np.zeros((len(OPTIONS), FAMILIES))
    for family, calls in groupby(written, lambda call: call[0].family):
        filled = [(step, codes) for step, codes in calls if codes.any()]  # the others are one bit, most often
        if not filled:
            continue
        codes = _joined(codes for _, codes in filled)
        prediction = Prediction(
            _joined(step.prediction.scale for step, _ in filled),
            _joined(step.prediction.mean for step, _ in filled),
        )
        zeros = (codes == 0) & (_joined(step.classes.shift for step, _ in filled) == 0)
        kinds, counts = _kinds(prediction.at(zeros))  # most codes are zeros, and of few kinds
        bits[:, family] += _bits(torch.zeros_like(counts), kinds, family, lengths) @ counts.double().numpy()
        others = prediction.at(~zeros)
        for part in zip(*(x.split(AT_ONCE) for x in (codes[~zeros], others.scale, others.mean)), strict=True):
            bits[:, family] += _bits(part[0], Prediction(*part[1:]), family, lengths).sum(1)
    gain = bits[-LOWEST] - bits.min(0)
    return (
        ScaleOffsets(np.where(gain > 0, OPTIONS[bits.argmin(0)], 0))
        if gain.sum() > COST
        else ScaleOffsets.none()
    )


def _joined(parts: Iterable[Tensor]) -> Tensor:
    return torch.cat([part.flatten() for part in parts])


def _bits(codes: Tensor, prediction: Prediction, family: int, lengths: Tensor) -> np.ndarray:
    """Float64 (options, n): what codes (n,) take under every offset."""
    offsets = torch.from_numpy(OPTIONS).float()[:, None] / STEPS_A_CLASS
    moved = Prediction(prediction.scale + offsets, prediction.mean.expand(len(offsets), -1))
    return code_bits(codes, moved.classes(family), lengths).double().numpy()


def _kinds(prediction: Prediction) -> tuple[Prediction, Tensor]:
    """The predictions (n,) of integer part zero that differ in what any offset makes of them, and how often
    each occurs.
    """
    ends = -LOWEST, STEPS_A_CLASS * CLASSES - LOWEST  # beyond them offsets make no difference
    halves = (prediction.scale * STEPS_A_CLASS).floor().clamp(-ends[0], ends[1])
    means = (prediction.mean * MEAN_UNIT).floor()
    keys = (halves + ends[0]) * MEAN_UNIT + means + MEAN_UNIT // 2
    counts = torch.bincount(keys.int())
    kept = counts.nonzero()[:, 0]
    halves, means = kept // MEAN_UNIT - ends[0], kept % MEAN_UNIT - MEAN_UNIT // 2
    return Prediction(halves / STEPS_A_CLASS, means / MEAN_UNIT), counts[kept]


def _moved(prediction: Prediction, offset: float) -> Prediction:
    return Prediction(prediction.scale + offset, prediction.mean)
