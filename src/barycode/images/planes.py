"""Values in the places of planes."""

from collections.abc import Sequence

import torch
from torch import Tensor


def take(planes: Tensor, bands: Sequence[int], places: Tensor) -> Tensor:
    """The values (B, bands, places) at places of planes (B, C, n)."""
    return planes[:, torch.tensor(bands, device=planes.device)][..., places]


def put(planes: Tensor, bands: Sequence[int], places: Tensor, values: Tensor) -> Tensor:
    """Planes (B, C, n) with values (B, bands, places) in their places."""
    indices = torch.tensor(bands, device=planes.device)
    return planes.index_copy(1, indices, planes[:, indices].index_copy(2, places, values))
