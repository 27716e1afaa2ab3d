"""One tile of a picture to bytes and back: the walk with a coder at its side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from barycode.container import least_bytes
from barycode.images.coding import read_codes, write_codes
from barycode.images.model import ImageModel
from barycode.images.planes import take
from barycode.images.ratios import Ratios
from barycode.images.scale_offsets import ScaleOffsets
from barycode.images.steps import octave_of, step_of
from barycode.images.walk import AC_FAMILIES, Exchange, Step, walk
from barycode.rate import SymbolDecoder, SymbolEncoder

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
        return self.grey and step.is_chroma


def least_size(size: Sequence[int]) -> int:
    """The least number of bytes of a tile of so many blocks (h, w)."""
    return least_bytes(size[0] * size[1], BLOCKS_PER_BYTE)


@dataclass(frozen=True)
class EncodedTile:
    """The bytes of a tile, the codes (192, h, w) that they hold, DC in eighths, and each step of the walk
    with the codes (1, bands, places) that were written there.
    """

    payload: bytes
    codes: Tensor
    written: list[tuple[Step, Tensor]]


def encode_tile(
    model: ImageModel,
    coefficients: Tensor,
    setting: Setting,
    rate_weight: float,
    offsets: ScaleOffsets | None = None,
    weights: Tensor | None = None,
) -> EncodedTile:
    """Coefficients (192, h, w) to bytes; `weights` (1, 192, h, w) are those of their squared errors."""
    encoder = _TileEncoder(
        model, coefficients[None], setting, rate_weight, offsets or ScaleOffsets.none(), weights
    )
    size = (coefficients.shape[1], coefficients.shape[2])
    codes = _walk(model, size, setting, encoder.exchange)
    return EncodedTile(encoder.coder.finish(least_size(size)), codes, encoder.written)


def decode_tile(model: ImageModel, data: bytes, size: tuple[int, int], setting: Setting) -> Tensor:
    """The codes (192, h, w) of a tile, DC in eighths."""
    decoder = SymbolDecoder(data, least_size(size))
    offsets = ScaleOffsets.read(decoder)

    def exchange(step: Step) -> Tensor:
        step = offsets.applied(step)
        shape = step.prediction.scale.shape
        if setting.skips(step) or (_may_be_empty(step) and not decoder.decode_uniform(1, 1)[0]):
            return torch.zeros(shape)
        if step.dimension > 1:
            return model.vectors_of(step.family).read(decoder, model.tables, step)
        return read_codes(decoder, model.tables, step.classes)

    codes = _walk(model, size, setting, exchange)
    decoder.finish()
    return codes


def _walk(model: ImageModel, size: tuple[int, int], setting: Setting, exchange: Exchange) -> Tensor:
    octave = torch.tensor([float(octave_of(setting.index))])
    with torch.inference_mode():
        return walk(model.contexts, 1, size, octave, exchange)[0]


def _may_be_empty(step: Step) -> bool:
    """The calls of AC start with one bit: whether any code differs from zero."""
    return step.family >= AC_FAMILIES


class _TileEncoder:
    """Chooses codes and writes them, in one walk."""

    def __init__(
        self,
        model: ImageModel,
        coefficients: Tensor,
        setting: Setting,
        rate_weight: float,
        offsets: ScaleOffsets,
        weights: Tensor | None,
    ) -> None:
        self.coder = SymbolEncoder()
        self.written: list[tuple[Step, Tensor]] = []
        self._offsets = offsets
        self._weights = None if weights is None else weights.flatten(2)
        self._model = model
        self._setting = setting
        self._ratios = Ratios(model.config.policy, coefficients, setting.step())
        self._chooser = model.chooser(rate_weight)
        offsets.write(self.coder)

    def exchange(self, step: Step) -> Tensor:
        if self._setting.skips(step):
            return torch.zeros_like(step.prediction.scale)
        step = self._offsets.applied(step)
        weight = None if self._weights is None else take(self._weights, step.bands, step.places)
        codes = self._chooser.choose(self._ratios.of(step), step, weight)
        self._ratios.know(step, codes)
        self._write(step, codes)
        self.written.append((step, codes))
        return codes

    def _write(self, step: Step, codes: Tensor) -> None:
        if _may_be_empty(step):
            full = bool(codes.any())
            self.coder.encode_uniform(np.array([int(full)]), 1)
            if not full:
                return
        if step.dimension > 1:
            return self._model.vectors_of(step.family).write(self.coder, self._model.tables, step, codes)
        write_codes(self.coder, self._model.tables, step.classes, codes)
