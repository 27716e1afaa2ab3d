"""Code vectors fitted to the coefficients of training pictures, for slices of a model that had scalars."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from barycode.images.model import ImageModel
from barycode.images.rate_distortion import Chooser, Options
from barycode.images.vectors import ROWS, VectorShape, VectorSlice
from barycode.images.walk import AC_FAMILIES, Step
from barycode.rate.entropy_constrained import begin, fit, smoothed_tables, with_rows
from barycode.training.images.tables import walk_batch

MATERIAL = 50_000  # vectors that a codebook is fitted to
PLAIN_ITERATIONS, ITERATIONS = 8, 4  # of Lloyd, with one table and with one for each row


def with_vectors(
    model: ImageModel,
    shapes: Sequence[VectorShape],
    batches: Iterable[tuple[Tensor, int]],
    rate_weight: float,
    seed: int = 0,
) -> ImageModel:
    """The model with code vectors of these shapes where it had scalars.

    `batches`: pixels (B, 3, 8 h, 8 w) and the step index to code them at.
    """
    changed = ImageModel(replace(model.config, vectors=tuple(shapes)), model.tables)
    fresh = {name: value for name, value in changed.state_dict().items() if name.startswith("vectors.")}
    changed.load_state_dict(model.state_dict() | fresh)
    collector = _Collector(changed, rate_weight, seed)
    for pixels, index in batches:
        walk_batch(changed, pixels, index, collector, lambda step, codes: None)
    for family, vectors, rows in collector.materials():
        _fit(changed.vectors_of(family), vectors, rows, rate_weight, seed)
    return changed


def _fit(book: VectorSlice, vectors: Tensor, rows: Tensor, rate_weight: float, seed: int) -> None:
    plain = torch.zeros_like(rows)
    coder = fit(begin(vectors, book.shape.centers, rate_weight, seed), vectors, plain, PLAIN_ITERATIONS)
    coder = with_rows(coder, coder.choose(vectors, plain), rows, ROWS)
    coder = fit(coder, vectors, rows, ITERATIONS)
    with torch.no_grad():
        book.centers.copy_(coder.centers)
    counts = np.zeros((ROWS, book.shape.centers + 1))
    np.add.at(counts, (rows.numpy(), coder.choose(vectors, rows).numpy()), 1)
    book.tables = smoothed_tables(counts)


class _Collector:
    """The model's own choice, which keeps a draw of the vectors that it sees and of their rows."""

    def __init__(self, model: ImageModel, rate_weight: float, seed: int) -> None:
        self.rate_weight = rate_weight
        self._model = model
        self._chooser: Chooser = model.chooser(rate_weight)
        self._random = torch.Generator().manual_seed(seed)
        self._seen: dict[int, list[tuple[Tensor, Tensor]]] = {
            AC_FAMILIES + shape.index: [] for shape in model.config.vectors
        }

    def choose(self, ratio: Tensor, step: Step) -> Tensor:
        if step.dimension > 1:
            folded = step.classes.symbols(ratio)
            rows = self._model.vectors_of(step.family).rows(step.prediction)
            vectors = folded.unflatten(-1, (-1, step.dimension)).flatten(0, -2)
            self._seen[step.family].append((vectors, rows.flatten()))
        return self._chooser.choose(ratio, step)

    def options(self, ratio: Tensor, step: Step) -> Options:
        return self._chooser.options(ratio, step)

    def materials(self) -> Iterable[tuple[int, Tensor, Tensor]]:
        """Of every family MATERIAL vectors (n, d), at most, and their rows (n,)."""
        for family, seen in self._seen.items():
            vectors, rows = (torch.cat(parts) for parts in zip(*seen, strict=True))
            drawn = torch.randperm(len(rows), generator=self._random)[:MATERIAL]
            yield family, vectors[drawn], rows[drawn]
