"""From decoded integers to tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from barycode.errors import CorruptFileError
from barycode.weights.file_format.codebooks import origin
from barycode.weights.file_format.items import Item
from barycode.weights.file_format.methods import Centers, CodeVectors, Exact
from barycode.weights.file_format.number_formats import from_bits


def dequantize(item: Item, result: NDArray, codebooks: Sequence[Tensor]) -> Tensor:
    """The tensor of an item from what `PartCoder` gives for it: a product or a look-up for every entry."""
    tensor = _dequantized(item, result, codebooks)
    return tensor if item.aside is None else item.aside.put_into(tensor)


def _dequantized(item: Item, result: NDArray, codebooks: Sequence[Tensor]) -> Tensor:
    entry, method = item.entry, item.method
    if isinstance(method, Exact):
        return from_bits(result, entry.dtype, entry.shape)
    if isinstance(method, Centers):
        return _look_up(item, result, codebooks)
    wide = torch.float64 if entry.dtype == torch.float64 else torch.float32
    points = (
        _vectors(item, result, codebooks) if isinstance(method, CodeVectors) else torch.from_numpy(result)
    )
    weights = points.to(wide).mul_(method.step)
    if entry.dtype != weights.dtype:
        largest = torch.finfo(entry.dtype).max
        weights = weights.clamp_(-largest, largest).to(entry.dtype)
    return weights.reshape(entry.shape)


def _look_up(item: Item, codes: NDArray, codebooks: Sequence[Tensor]) -> Tensor:
    assert isinstance(item.method, Centers)
    centers = codebooks[item.method.codebook]
    ranks = codes.astype(np.int64) + origin(centers)
    if ranks.size and (ranks.min() < 0 or ranks.max() >= len(centers)):
        raise CorruptFileError(
            f"The tensor {item.entry.name!r} has codes outside its codebook: damaged file."
        )
    return centers[torch.from_numpy(ranks)].reshape(item.entry.shape)


def _vectors(item: Item, indices: NDArray, codebooks: Sequence[Tensor]) -> Tensor:
    """The entries (n,) that code vectors stand for, in steps."""
    method = item.method
    assert isinstance(method, CodeVectors)
    return codebooks[method.codebook][torch.from_numpy(indices).long()].flatten()[: item.entry.size]
