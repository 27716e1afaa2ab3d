"""Tensors within what a network returns."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor


def tensors_of(result: Any) -> Iterator[Tensor]:
    """The tensors of a result, nested in mappings, tuples and lists, in order."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from tensors_of(value)
    elif isinstance(result, tuple | list):
        for value in result:
            yield from tensors_of(value)
