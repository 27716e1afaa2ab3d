"""Frequency tables from the codes of training pictures."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from barycode.images.choice import Chooser
from barycode.images.contexts import AC_FAMILIES, FAMILIES, Step, walk
from barycode.images.model import ImageModel
from barycode.images.prediction import LIMIT, ROWS, laplacian_tables
from barycode.images.steps import octave_of, step_of
from barycode.images.transform import mirror_samples
from barycode.rate import FrequencyTables
from barycode.rate.tables import PRECISION
from barycode.training.images.trace import Trace

PRIOR_STRENGTH = 24.0  # counts that the Laplacian prior is worth in every row


def prior(model: ImageModel) -> np.ndarray:
    """(FAMILIES * ROWS, symbols) probabilities of the Laplacian that the contexts are trained with."""
    zones = [0.5] * AC_FAMILIES + model.ac.dead_zone.tolist()
    return torch.cat([laplacian_tables(zone) for zone in zones]).numpy()


def prior_lengths(model: ImageModel) -> Tensor:
    """Code lengths (rows, symbols) in bits under the prior alone."""
    return torch.from_numpy(-np.log2(np.maximum(prior(model), 2.0**-PRECISION))).float()


def fit_tables(
    model: ImageModel, batches: Iterable[tuple[Tensor, int]], trade: float, lengths: Tensor
) -> FrequencyTables:
    """Tables from the codes that an encoder with these code lengths chooses, smoothed by the prior.

    `batches`: pixels (B, 3, 8 h, 8 w) and the step index to code them at.
    """
    symbols = 2 * LIMIT + 1
    counts = torch.zeros(FAMILIES * ROWS * symbols, dtype=torch.int64)
    chooser = Chooser(lengths, model.decoder.reconstruct, trade)
    for pixels, index in batches:
        counts += _count(model, pixels, index, chooser, len(counts))
    histogram = counts.view(-1, symbols).numpy() + PRIOR_STRENGTH * prior(model)
    return FrequencyTables.from_counts(histogram)


@torch.inference_mode()
def _count(model: ImageModel, pixels: Tensor, index: int, chooser: Chooser, size: int) -> Tensor:
    coefficients = model.analysis(mirror_samples(pixels))
    octave = torch.full((len(pixels),), float(octave_of(index)))
    trace = Trace(model, coefficients, torch.full((len(pixels),), step_of(index)), chooser)
    counts = torch.zeros(size, dtype=torch.int64)

    def exchange(step: Step) -> Tensor:
        codes = trace.exchange(step)
        classes = step.prediction.classes(step.family)
        places = classes.symbols(codes.int()).clamp(-LIMIT, LIMIT) + LIMIT
        counts.add_(torch.bincount((classes.row * (2 * LIMIT + 1) + places).flatten(), minlength=size))
        return codes

    walk(model.dc, model.ac, (len(pixels), *coefficients.shape[2:]), octave, exchange)
    return counts
