"""Code vectors inside the codec, beside its own scalars: every slice in every shape, escapes, real files."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bands import group_name
from PIL import Image
from torch import Tensor

from barycode.evaluation import metrics
from barycode.images.codec import compress_at, decompress
from barycode.images.model import ImageModel
from barycode.images.rate_distortion import Options
from barycode.images.slices import SLICES
from barycode.images.vectors import VectorShape
from barycode.images.walk import AC_FAMILIES, Step
from barycode.training.images.crops import Crops
from barycode.training.images.tables import fit_tables, walk_batch
from barycode.training.images.vectors import with_vectors

SCALARS, CHOSEN = "scalars", "chosen"
SHAPES = {"1x2": (1, 2, 256), "1x2, 1000": (1, 2, 1000), "2x2": (2, 2, 1000)}
FIT_STEPS = (28, 22, 16, 11, 6, 1, -4, -10, -16)
FIT_CROP, FIT_BATCH, HELD_OUT_CROP = 192, 24, 384
STEPS = (24, 6, -12)  # where shapes are chosen and files measured
Rows = list[dict[str, Any]]
Batches = list[tuple[Tensor, int]]


def codec_rows(
    model: ImageModel,
    training: Sequence[Image.Image],
    held_out: Sequence[Image.Image],
    test: Sequence[tuple[str, Image.Image]],
    advance: Callable[[], None],
) -> Rows:
    """What slices cost in each shape on held-out photos, and what files of test pictures measure: with
    scalars, with every shape throughout, and with the best of each slice.
    """
    batches = _batches(training, FIT_CROP, FIT_BATCH, FIT_STEPS)
    unseen = _batches(held_out, HELD_OUT_CROP, 8, STEPS)
    models = {SCALARS: with_tables(model, batches)}
    advance()
    for name, shape in SHAPES.items():
        models[name] = fitted(model, [VectorShape(i, *shape) for i in range(len(SLICES))], batches)
        advance()
    costs = {name: slice_costs(each, unseen) for name, each in models.items()}
    rows = [
        {"kind": "slice", "shape": name, "group": group_name(i), "index": index, "cost": round(cost, 6)}
        for name, found in costs.items()
        for (index, i), cost in found.items()
    ]
    best = [choose(costs, i) for i in range(len(SLICES))]
    chosen = [VectorShape(i, *SHAPES[name]) for i, name in enumerate(best) if name != SCALARS]
    models[CHOSEN] = fitted(model, chosen, batches)
    for name, each in models.items():
        rows += [{"kind": "file", "shape": name, **row} for row in file_rows(each, test)]
        advance()
    return rows


def fitted(model: ImageModel, shapes: Sequence[VectorShape], batches: Batches) -> ImageModel:
    """The model with these code vectors and tables of what it then chooses."""
    return with_tables(with_vectors(model, shapes, batches, model.config.rate_weight), batches)


def with_tables(model: ImageModel, batches: Batches) -> ImageModel:
    """The model with tables counted on what it chooses."""
    counted = fit_tables(model, batches, model.config.rate_weight, model.code_lengths())
    return ImageModel.from_bytes(counted.to_bytes())


def choose(costs: dict[str, dict[tuple[int, int], float]], number: int) -> str:
    """The shape of least cost against scalars, the steps weighing the same."""
    relative = {
        name: float(np.mean([found[i, number] / costs[SCALARS][i, number] for i in STEPS]))
        for name, found in costs.items()
    }
    return min(relative, key=lambda name: relative[name])


class _Tally:
    """The model's choice, adding up squared error + rate_weight * bits of every slice."""

    def __init__(self, model: ImageModel) -> None:
        self.rate_weight = model.config.rate_weight
        self.costs = [0.0] * len(SLICES)
        self.counts = [0] * len(SLICES)
        self._chooser = model.chooser(self.rate_weight)

    def choose(self, ratio: Tensor, step: Step) -> Tensor:
        options = self._chooser.options(ratio, step)
        if step.family >= AC_FAMILIES:
            least = (options.errors + self.rate_weight * options.bits).amin(0)
            self.costs[step.family - AC_FAMILIES] += least.double().sum().item()
            self.counts[step.family - AC_FAMILIES] += ratio.numel()
        return options.cheapest(self.rate_weight)

    def options(self, ratio: Tensor, step: Step) -> Options:
        return self._chooser.options(ratio, step)


def slice_costs(model: ImageModel, batches: Batches) -> dict[tuple[int, int], float]:
    """D + lambda R of a coefficient, in squared steps, by (step index, slice)."""
    found = {}
    for pixels, index in batches:
        tally = _Tally(model)
        walk_batch(model, pixels, index, tally, lambda step, codes: None)
        for number, (cost, count) in enumerate(zip(tally.costs, tally.counts, strict=True)):
            found[index, number] = cost / count
    return found


def file_rows(model: ImageModel, test: Sequence[tuple[str, Image.Image]]) -> Rows:
    """Whole files: bytes and PSNR."""
    rows = []
    for name, image in test:
        for index in STEPS:
            data = compress_at(image, index, model)
            psnr = metrics.psnr(image, decompress(data, model=model))
            pixels = image.width * image.height
            row = {"picture": name, "index": index, "bytes": len(data), "pixels": pixels}
            rows.append({**row, "psnr": round(psnr, 4)})
    return rows


def _batches(pictures: Sequence[Image.Image], crop: int, count: int, steps: Sequence[int]) -> Batches:
    crops = Crops(pictures, crop, seed=0)
    return [(crops.draw(count), index) for index in steps]
