"""Frequency tables from the codes of training pictures."""

from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from barycode.images import vectors
from barycode.images.model import ImageModel
from barycode.images.prediction import LIMIT, ROWS, laplacian_tables
from barycode.images.steps import octave_of, step_of
from barycode.images.transform import mirror_samples
from barycode.images.walk import AC_FAMILIES, FAMILIES, Step, dead_zone, walk
from barycode.rate import FrequencyTables
from barycode.rate.entropy_constrained import smoothed_tables
from barycode.rate.tables import PRECISION
from barycode.training.engine import Engine
from barycode.training.images.trace import Chooses, Trace

PRIOR_STRENGTH = 24.0  # counts that the Laplacian prior is worth in every row
SYMBOLS = 2 * LIMIT + 1


def prior(model: ImageModel) -> np.ndarray:
    """(FAMILIES * ROWS, symbols) probabilities of the Laplacian that the contexts are trained with."""
    zones = [float(torch.as_tensor(dead_zone(model.contexts, family)).detach()) for family in range(FAMILIES)]
    return torch.cat([laplacian_tables(zone) for zone in zones]).numpy()


def prior_lengths(model: ImageModel) -> Tensor:
    """Code lengths (rows, symbols) in bits under the prior alone."""
    return torch.from_numpy(-np.log2(np.maximum(prior(model), 2.0**-PRECISION))).float()


def fit_tables(
    model: ImageModel,
    batches: Iterable[tuple[Tensor, int]],
    rate_weight: float,
    lengths: Tensor,
    engine: Engine | None = None,
) -> ImageModel:
    """The model with tables from the codes that an encoder with these code lengths chooses.

    Those of scalars are smoothed by the prior, those of code vectors by the histogram over their rows.
    `batches`: pixels (B, 3, 8 h, 8 w) and the step index to code them at; the ranks of `engine` are given all
    of them and take turns.
    """
    engine = engine or Engine()
    counter = _Counter(model)
    chooser = model.chooser(rate_weight, lengths)
    for pixels, index in islice(batches, engine.rank, None, engine.world):
        walk_batch(model, pixels, index, chooser, counter)
    histogram = engine.total(counter.scalars).view(-1, SYMBOLS).numpy() + PRIOR_STRENGTH * prior(model)
    fitted = ImageModel(model.config, FrequencyTables.from_counts(histogram))
    fitted.load_state_dict(model.state_dict())
    for family, counts in counter.vectors.items():
        fitted.vectors_of(family).tables = smoothed_tables(engine.total(counts).numpy())
    return fitted


@torch.inference_mode()
def walk_batch(
    model: ImageModel, pixels: Tensor, index: int, chooser: Chooses, listen: Callable[[Step, Tensor], None]
) -> None:
    """Code pixels (B, 3, 8 h, 8 w) at a step index, and tell of every step the codes that were chosen."""
    coefficients = model.analysis(mirror_samples(pixels))
    octave = torch.full((len(pixels),), float(octave_of(index)))
    trace = Trace(model, coefficients, torch.full((len(pixels),), step_of(index)), chooser)

    def exchange(step: Step) -> Tensor:
        codes = trace.exchange(step)
        listen(step, codes)
        return codes

    walk(model.contexts, len(pixels), (coefficients.shape[2], coefficients.shape[3]), octave, exchange)


class _Counter:
    """How often each symbol was written under each row."""

    def __init__(self, model: ImageModel) -> None:
        self._model = model
        self.scalars = torch.zeros(FAMILIES * ROWS * SYMBOLS, dtype=torch.int64)
        shapes = model.config.vectors
        families = {AC_FAMILIES + s.index: s.centers for s in shapes}
        self.vectors = {f: torch.zeros(vectors.ROWS, k + 1, dtype=torch.int64) for f, k in families.items()}

    def __call__(self, step: Step, codes: Tensor) -> None:
        classes = step.classes
        alone = torch.ones_like(codes, dtype=torch.bool)
        if step.dimension > 1:
            book = self._model.vectors_of(step.family)
            symbols = book.symbols(codes, classes)
            _count(self.vectors[step.family], book.rows(step.prediction), symbols)
            alone = (symbols == book.escape).repeat_interleave(step.dimension, -1)
        symbols = classes.split(classes.symbols(codes.int()))[0].clamp(-LIMIT, LIMIT) + LIMIT
        _count(self.scalars.view(-1, SYMBOLS), classes.row[alone], symbols[alone])


def _count(counts: Tensor, rows: Tensor, symbols: Tensor) -> None:
    places = (rows * counts.shape[1] + symbols).flatten()
    counts.view(-1).add_(torch.bincount(places, minlength=counts.numel()))
