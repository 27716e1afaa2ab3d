"""A model of scalars with code vectors put in, and tables that like them."""

from dataclasses import replace
from itertools import product

import numpy as np
import torch

from barycode.images.model import ImageModel
from barycode.images.vectors import ROWS, UNIT, VectorShape
from barycode.images.walk import AC_FAMILIES
from barycode.rate import FrequencyTables

SHAPES = (
    VectorShape(0, 1, 2, 9),
    VectorShape(2, 2, 2, 81),
    VectorShape(9, 2, 1, 30),
    VectorShape(11, 1, 3, 7),
)


def with_code_vectors(model: ImageModel, shapes: tuple[VectorShape, ...] = SHAPES) -> ImageModel:
    """Centers of 0, 1 and -1 first, then of halves; probabilities that fall along the symbols."""
    changed = ImageModel(replace(model.config, vectors=shapes), model.tables)
    fresh = {name: value for name, value in changed.state_dict().items() if name.startswith("vectors.")}
    changed.load_state_dict(model.state_dict() | fresh)
    for shape in shapes:
        book = changed.vectors_of(AC_FAMILIES + shape.index)
        points = torch.tensor(list(product((0.0, 1.0, -1.0), repeat=shape.dimension)))[: shape.centers]
        points = points * (1 - shape.index / UNIT)
        halves = torch.arange(len(points), shape.centers)[:, None] / 2
        with torch.no_grad():
            book.centers.copy_(torch.cat([points, halves.expand(-1, shape.dimension)]))
        counts = shape.centers + 1 - np.arange(shape.centers + 1)
        book.tables = FrequencyTables.from_counts(np.tile(counts, (ROWS, 1)))
    return ImageModel.from_bytes(changed.to_bytes())
