"""How much wider or narrower the codes of one tile are than the context networks expect.

The networks are trained on many pictures, and one picture is sharper or smoother than most. So a tile says,
for every family of tables, by how many half scale classes its predictions are to be moved: three bits each,
where they earn more than they cost. Offsets are multiples of a half, so classes stay exact.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from barycode.errors import CorruptFileError
from barycode.images.prediction import Prediction
from barycode.images.rate_distortion import code_bits
from barycode.images.walk import FAMILIES, Step
from barycode.rate import SymbolDecoder, SymbolEncoder

BITS = 3
STEPS_A_CLASS = 2
LOWEST = -(2 ** (BITS - 1))
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
    options = np.arange(LOWEST, LOWEST + 2**BITS)
    bits = np.zeros((len(options), FAMILIES))
    for step, codes in written:
        if not codes.any():  # such calls are one bit, most often
            continue
        for number, halves in enumerate(options.tolist()):
            moved = _moved(step.prediction, halves / STEPS_A_CLASS)
            bits[number, step.family] += code_bits(codes, moved.classes(step.family), lengths).sum().item()
    gain = bits[-LOWEST] - bits.min(0)
    return (
        ScaleOffsets(np.where(gain > 0, options[bits.argmin(0)], 0))
        if gain.sum() > COST
        else ScaleOffsets.none()
    )


def _moved(prediction: Prediction, offset: float) -> Prediction:
    return Prediction(prediction.scale + offset, prediction.mean)
