"""Values in the places of planes."""

from collections.abc import Sequence

import torch
from torch import Tensor


def take(planes: Tensor, bands: Sequence[int], places: Tensor) -> Tensor:
    """The values (B, bands, places) at places of planes (B, C, n)."""
    return planes[:, list(bands)][..., places]


def put(planes: Tensor, bands: Sequence[int], places: Tensor, values: Tensor) -> Tensor:
    """Planes (B, C, n) with values (B, bands, places) in their places."""
    rows = planes[:, list(bands)].index_copy(2, places, values)
    return planes.index_copy(1, torch.tensor(bands, device=planes.device), rows)
