"""Batches as the decoder sees them: with the codes that the encoder chooses, refined on request."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from barycode.images.model import ImageModel
from barycode.images.rate_distortion import Chooser
from barycode.images.refinement import MIXING, decoded_errors, proximal_step
from barycode.images.steps import CLASSES_AN_OCTAVE, REFERENCE_STEP
from barycode.images.transform import mirror_samples
from barycode.training.images.trace import Trace


@dataclass(frozen=True)
class Batch:
    """Pixels (B, 3, 8 h, 8 w) in 0 ... 255, and the step (B,) of each."""

    pixels: Tensor
    step: Tensor

    @property
    def octave(self) -> Tensor:
        """The class (B,) of the step that the context networks see."""
        return torch.floor(CLASSES_AN_OCTAVE * torch.log2(self.step / REFERENCE_STEP) + 1e-4)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with each of its tensors changed, such as to a share of it."""
        return Batch(change(self.pixels), change(self.step))


@dataclass(frozen=True)
class CodedBatch:
    """A batch, the codes that the encoder chose for it, and its step multipliers (B, 1, h, w)."""

    batch: Batch
    codes: Tensor
    places: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> "CodedBatch":
        """The batch with each of its tensors changed."""
        return CodedBatch(self.batch.map(change), change(self.codes), change(self.places))


def code_batch(model: ImageModel, batch: Batch, chooser: Chooser, rounds: int = 0) -> CodedBatch:
    """The encoder's choice of codes for a batch: of each picture the cheapest among the first and `rounds`
    further ones, as `refinement` makes them.
    """
    with torch.no_grad():
        coefficients = model.analysis(mirror_samples(batch.pixels))
        best, trace = _choose(model, coefficients, batch, chooser)

    def error_of(decoded: Tensor, weight: Tensor) -> Tensor:
        return ((decoded - batch.pixels) ** 2 * weight).mean(1)

    def cost_of(trace: Trace, errors: Tensor) -> Tensor:
        return errors.sum((1, 2)) + chooser.rate_weight * trace.context_bits

    if not rounds:
        return best
    least = torch.full_like(batch.step, torch.inf)
    coded = best
    for _ in range(rounds):
        errors, moved = proximal_step(model, coded.codes, batch.step, coded.places, error_of)
        cost = cost_of(trace, errors)
        best, least = _cheaper(best, coded, cost < least), torch.minimum(cost, least)
        coefficients = torch.lerp(coefficients, moved, MIXING)
        with torch.no_grad():
            coded, trace = _choose(model, coefficients, batch, chooser)
    with torch.no_grad():
        _, errors = decoded_errors(model, coded.codes, batch.step, coded.places, error_of)
    return _cheaper(best, coded, cost_of(trace, errors) < least)


def decode_batch(model: ImageModel, coded: CodedBatch) -> Tensor:
    """What the decoder makes of a batch's codes, (B, 3, 8 h, 8 w)."""
    step = coded.batch.step
    return model.decode(coded.codes, model.steps_of(step, coded.places), step)


def _choose(
    model: ImageModel, coefficients: Tensor, batch: Batch, chooser: Chooser
) -> tuple[CodedBatch, Trace]:
    trace = Trace(model, coefficients, batch.step, chooser)
    codes = trace.run(batch.octave)
    return CodedBatch(batch, codes, trace.places), trace


def _cheaper(best: CodedBatch, other: CodedBatch, where: Tensor) -> CodedBatch:
    where = where[:, None, None, None]
    codes = torch.where(where, other.codes, best.codes)
    return CodedBatch(best.batch, codes, torch.where(where, other.places, best.places))
