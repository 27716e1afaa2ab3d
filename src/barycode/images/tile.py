"""One tile of a picture to bytes and back: the walk with a coder at its side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from barycode.container import least_bytes
from barycode.images.contexts import AC_FAMILIES, Exchange, Step, walk
from barycode.images.model import ImageModel
from barycode.images.steps import octave_of, step_of
from barycode.images.transform import BLOCK
from barycode.rate import SymbolDecoder, SymbolEncoder

STEPS_KNOWN = AC_FAMILIES + 1  # a local step needs DC and the first slice
BLOCKS_PER_BYTE = 64  # that a byte of a tile stands for at most, so that no small file asks for much work


@dataclass(frozen=True)
class Setting:
    """How a picture is coded: its step index, and whether its colour planes are left out (grey pictures)."""

    index: int
    grey: bool = False

    def step(self) -> Tensor:
        """(1,) the picture's step."""
        return torch.tensor([step_of(self.index)])

    def skips(self, step: Step) -> bool:
        return self.grey and step.bands[0] >= BLOCK**2


def least_size(size: Sequence[int]) -> int:
    """The least number of bytes of a tile of so many blocks (h, w)."""
    return least_bytes(size[0] * size[1], BLOCKS_PER_BYTE)


@dataclass(frozen=True)
class EncodedTile:
    """The bytes of a tile and the codes (192, h, w) that they hold."""

    payload: bytes
    codes: Tensor


def encode_tile(model: ImageModel, coefficients: Tensor, setting: Setting, trade: float) -> EncodedTile:
    """Coefficients (192, h, w) to bytes."""
    encoder = _TileEncoder(model, coefficients[None], setting, trade)
    codes = _walk(model, coefficients.shape[1:], setting, encoder.exchange)
    return EncodedTile(encoder.coder.finish(least_size(coefficients.shape[1:])), codes)


def decode_tile(model: ImageModel, data: bytes, size: tuple[int, int], setting: Setting) -> Tensor:
    """The codes (192, h, w) of a tile."""
    decoder = SymbolDecoder(data, least_size(size))

    def exchange(step: Step) -> Tensor:
        shape = step.prediction.scale.shape
        if setting.skips(step) or (_may_be_empty(step) and not decoder.decode_uniform(1, 1)[0]):
            return torch.zeros(shape)
        if step.dimension > 1:
            return model.vectors_of(step.family).read(decoder, model.tables, step)
        classes = step.prediction.classes(step.family)
        symbols = decoder.decode_signed(model.tables, classes.row.numpy().ravel())
        return classes.codes(torch.from_numpy(symbols).view(shape)).float()

    codes = _walk(model, size, setting, exchange)
    decoder.finish()
    return codes


def _walk(model: ImageModel, size: tuple[int, ...], setting: Setting, exchange: Exchange) -> Tensor:
    octave = torch.tensor([float(octave_of(setting.index))])
    with torch.inference_mode():
        return walk(model.dc, model.ac, (1, size[0], size[1]), octave, exchange)[0]


def _may_be_empty(step: Step) -> bool:
    """AC calls start with one bit: whether any code differs from zero."""
    return step.family >= AC_FAMILIES


class _TileEncoder:
    """Chooses codes and writes them, in one walk."""

    def __init__(self, model: ImageModel, coefficients: Tensor, setting: Setting, trade: float) -> None:
        self.coder = SymbolEncoder()
        self._model = model
        self._setting = setting
        self._coefficients = coefficients
        self._codes = torch.zeros_like(coefficients).flatten(2)
        self._steps = setting.step().expand(1, *self._codes.shape[1:])
        self._chooser = model.chooser(trade)

    def exchange(self, step: Step) -> Tensor:
        if self._setting.skips(step):
            return torch.zeros_like(step.prediction.scale)
        if step.family == STEPS_KNOWN:
            codes = self._codes.view_as(self._coefficients)
            policy = self._model.config.policy
            steps = self._setting.step() * policy.combine(policy.measure(codes, self._setting.step()))
            self._steps = steps.flatten(2).expand_as(self._codes)
        bands = list(step.bands)
        ratio = (self._coefficients.flatten(2)[:, bands] / self._steps[:, bands])[..., step.places]
        codes = self._chooser.choose(ratio, step)
        self._codes[:, bands] = self._codes[:, bands].index_copy(2, step.places, codes)
        self._write(step, codes)
        return codes

    def _write(self, step: Step, codes: Tensor) -> None:
        if _may_be_empty(step):
            full = bool(codes.any())
            self.coder.encode_uniform(np.array([int(full)]), 1)
            if not full:
                return
        if step.dimension > 1:
            return self._model.vectors_of(step.family).write(self.coder, self._model.tables, step, codes)
        classes = step.prediction.classes(step.family)
        symbols = classes.symbols(codes.int())
        self.coder.encode_signed(symbols.numpy().ravel(), self._model.tables, classes.row.numpy().ravel())
