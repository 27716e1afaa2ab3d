"""The stages of training a picture model: the contexts, the decoder, and everything together.

Each stage is a function from a model and a batch to a loss, and the parameters that it trains. All see the same kind of batch: random
crops, each at a random step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from barycode.images.choice import Chooser
from barycode.images.model import ImageModel
from barycode.images.steps import CLASSES_AN_OCTAVE, REFERENCE_STEP
from barycode.images.transform import mirror_samples
from barycode.training.images.trace import Trace

Distortion = Callable[[Tensor, Tensor], Tensor]  # decoded and original pixels (B, 3, H, W) to (B,)


@dataclass(frozen=True)
class Batch:
    """Pixels (B, 3, 8 h, 8 w) in 0 ... 255, and the step (B,) of each."""

    pixels: Tensor
    step: Tensor

    @property
    def octave(self) -> Tensor:
        return torch.floor(CLASSES_AN_OCTAVE * torch.log2(self.step / REFERENCE_STEP) + 1e-4)


def contexts_loss(model: ImageModel, batch: Batch, chooser: Chooser) -> Tensor:
    """Bits per pixel of the codes that the encoder chooses, under the Laplacian; weighted so that every rate counts alike."""
    with torch.no_grad():
        coefficients = model.analysis(mirror_samples(batch.pixels))
    trace = Trace(model, coefficients, batch.step, chooser)
    trace.run(batch.octave)
    bpp = trace.context_bits / batch.pixels[0, 0].numel()
    return (bpp * (batch.step / REFERENCE_STEP) ** 0.7).mean()


def decoder_loss(model: ImageModel, batch: Batch, chooser: Chooser, distortion: Distortion) -> Tensor:
    """The distortion of what the decoder makes of the encoder's choice of codes."""
    with torch.no_grad():
        coefficients = model.analysis(mirror_samples(batch.pixels))
        trace = Trace(model, coefficients, batch.step, chooser)
        codes = trace.run(batch.octave)
    return distortion(_decode(model, codes, trace, batch.step), batch).mean()


def _decode(model: ImageModel, codes: Tensor, trace: Trace, step: Tensor) -> Tensor:
    steps = step[:, None, None, None] * model.config.policy.combine(trace.places)
    return model.decoder(codes.contiguous(memory_format=torch.channels_last), steps, step)
