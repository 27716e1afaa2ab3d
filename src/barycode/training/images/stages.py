"""The stages of training a picture model: the contexts, the decoder, and everything together.

Each stage is a function from a model and a batch to a loss, and the parts that it trains; `StageLoss` is both
as a module. All see the same kind of batch: random crops, each at a random step.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from barycode.errors import MissingDataError
from barycode.images.model import ImageModel
from barycode.images.rate_distortion import Chooser
from barycode.images.steps import REFERENCE_STEP
from barycode.images.transform import mirror_samples
from barycode.training.images.coded import Batch, CodedBatch, decode_batch
from barycode.training.images.recipe import Kind, Metric
from barycode.training.images.trace import Trace

Distortion = Callable[
    [Tensor, Batch], Tensor
]  # decoded pixels and the batch to (B,), comparable between steps


class StageLoss(nn.Module):
    """The loss of a stage as one forward pass, under which only the stage's own parts have gradients."""

    def __init__(self, model: ImageModel, kind: Kind, metric: Metric) -> None:
        super().__init__()
        self.model, self.kind = model, kind
        self.distortion: Distortion = squared_error
        if metric == "ms-ssim":
            self.distortion = structural_dissimilarity
        elif kind == "decoder":
            self.distortion = relative_error
        model.requires_grad_(False)
        for part in trained_parts(model, kind):
            part.requires_grad_(True)

    def forward(self, batch: Batch | CodedBatch, chooser: Chooser, sigma: float) -> dict[str, Tensor]:
        """The `loss` to minimise, and of a joint stage what it is with the `soft` and with the `hard` choice;
        decoders are shown coded batches.
        """
        if isinstance(batch, CodedBatch):
            return {"loss": decoder_loss(self.model, batch, self.distortion)}
        if self.kind == "contexts":
            return {"loss": contexts_loss(self.model, batch, chooser)}
        losses = joint_loss(self.model, batch, chooser, self.distortion, sigma)
        return {"loss": losses.total, "soft": losses.soft, "hard": losses.hard}


def trained_parts(model: ImageModel, kind: Kind) -> list[nn.Module]:
    """The parts of a model that a stage trains."""
    if kind == "contexts":
        return [model.contexts]
    if kind == "decoder":
        return [model.decoder]
    return [model.analysis, model.decoder, model.vectors, model.contexts]


def contexts_loss(model: ImageModel, batch: Batch, chooser: Chooser) -> Tensor:
    """Bits per pixel of the codes that the encoder chooses, under the Laplacian of the context networks."""
    with torch.no_grad():
        coefficients = model.analysis(mirror_samples(batch.pixels))
    trace = Trace(model, coefficients, batch.step, chooser)
    trace.run(batch.octave)
    return _context_cost(trace, batch, chooser.rate_weight)


def decoder_loss(model: ImageModel, coded: CodedBatch, distortion: Distortion) -> Tensor:
    """The distortion of what the decoder makes of a batch's codes."""
    return distortion(decode_batch(model, coded), coded.batch).mean()


@dataclass(frozen=True)
class JointLosses:
    """Everything together: `total` to minimise, and what it is made of, with the soft choice and with the
    hard one.
    """

    total: Tensor
    soft: Tensor
    hard: Tensor

    @property
    def gap(self) -> float:
        """loss(hard) - loss(soft): what the gap-controlled annealing follows."""
        return (self.hard - self.soft).item()


def joint_loss(
    model: ImageModel, batch: Batch, chooser: Chooser, distortion: Distortion, sigma: float
) -> JointLosses:
    """Distortion + rate_weight * rate of the soft codes, for transform and decoder; contexts learn beside it.

    The decoder sees soft codes, as in the paper: annealing sigma closes the gap to the hard ones.
    """
    coefficients = model.analysis(mirror_samples(batch.pixels))
    trace = Trace(model, coefficients, batch.step, chooser, sigma)
    codes = trace.run(batch.octave)
    price = batch.step**2 * chooser.rate_weight / (distortion_unit(batch.step) * batch.pixels[0, 0].numel())
    decoded = decode_batch(model, CodedBatch(batch, trace.soft, trace.places))
    soft = distortion(decoded, batch) + price * trace.rate_bits
    with torch.no_grad():
        decoded = decode_batch(model, CodedBatch(batch, codes, trace.places))
        hard = distortion(decoded, batch) + price * trace.hard_bits
    return JointLosses(
        soft.mean() + _context_cost(trace, batch, chooser.rate_weight), soft.mean().detach(), hard.mean()
    )


def distortion_unit(step: Tensor) -> Tensor:
    """The squared error (B,) that counts as one: about what the plain transform leaves at this step."""
    return 0.28 * step**1.2


def squared_error(decoded: Tensor, batch: Batch) -> Tensor:
    """Mean squared error in units of `distortion_unit`, so that all rates weigh alike."""
    return ((decoded - batch.pixels) ** 2).mean((1, 2, 3)) / distortion_unit(batch.step)


def relative_error(decoded: Tensor, batch: Batch) -> Tensor:
    """Squared error over half itself and half the unit: between the error and its logarithm, as PSNR per
    picture wants.
    """
    error = squared_error(decoded, batch)
    return error / (0.5 * error.detach() + 0.5)


def structural_dissimilarity(decoded: Tensor, batch: Batch) -> Tensor:
    """1 - MS-SSIM, weighted so that all rates weigh alike, with a little squared error to hold the mean
    colour.
    """
    try:
        ms_ssim = importlib.import_module("pytorch_msssim").ms_ssim
    except ImportError as error:
        raise MissingDataError(
            "Training for MS-SSIM needs pytorch-msssim: pip install 'barycode[evaluation]'."
        ) from error
    similarity = ms_ssim(decoded.clamp(0, 255), batch.pixels, data_range=255, size_average=False)
    return 1000 * (1 - similarity) / batch.step + 0.05 * squared_error(decoded, batch)


def _context_cost(trace: Trace, batch: Batch, rate_weight: float) -> Tensor:
    """Bits per pixel under the Laplacian of the contexts, and the error of DC at what bits are worth."""
    bpp = (trace.context_bits + trace.dc_error / rate_weight) / batch.pixels[0, 0].numel()
    return (bpp * (batch.step / REFERENCE_STEP) ** 0.7).mean()
