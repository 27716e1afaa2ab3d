"""Where tensors come from: a state dict in memory, or a file of which one tensor at a time is read."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.weights.file_format.directory import Directory, Entry

# What the quantizers of `soft_to_hard` leave in the state dict of a model that is still being trained.
_UNFINISHED = re.compile(r"(?:^|\.)parametrizations\.([^.]+)\.0\.sigma$")


class Source(Protocol):
    """Tensors in order, each loaded when it is asked for."""

    directory: Directory
    left_out: tuple[str, ...]  # what a checkpoint has beside its tensors, by name
    note: str  # what else a user has to know of it

    def load(self, name: str) -> Tensor: ...


class StateDict:
    """The tensors of a mapping. Two names for the same memory and form are tied: stored once, tied again."""

    note = ""

    def __init__(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
        if not isinstance(tensors, Mapping):
            hint = ": pass its state_dict()" if isinstance(tensors, torch.nn.Module) else ""
            raise InvalidInputError(f"A {type(tensors).__name__} is no mapping of names to tensors{hint}.")
        self._tensors = tensors
        self.left_out: tuple[str, ...] = ()
        self.directory = Directory(tuple(_entries(tensors)), dict(metadata or {}))

    def load(self, name: str) -> Tensor:
        return self._tensors[name]


class Joined:
    """Sources as one, by what messages call them; CorruptFileError for a name that two of them have."""

    def __init__(self, parts: Mapping[str, Source]) -> None:
        self._of: dict[str, str] = {}
        self._parts = parts
        entries: list[Entry] = []
        metadata: dict[str, str] = {}
        for part, source in parts.items():
            first = len(entries)
            for entry in source.directory.entries:
                if entry.name in self._of:
                    raise CorruptFileError(
                        f"{part} has a second tensor {entry.name!r}: every name must be in one shard."
                    )
                self._of[entry.name] = part
                tied = None if entry.tied_to is None else first + entry.tied_to
                entries.append(replace(entry, tied_to=tied))
            metadata |= source.directory.metadata
        self.directory = Directory(tuple(entries), metadata)
        self.left_out = tuple(name for source in parts.values() for name in source.left_out)
        self.note = " ".join(source.note for source in parts.values() if source.note)

    def part_of(self, name: str) -> str | None:
        """What the source is called that has a tensor."""
        return self._of.get(name)

    def load(self, name: str) -> Tensor:
        return self._parts[self._of[name]].load(name)


def _entries(tensors: Mapping[str, Tensor]) -> Iterator[Entry]:
    seen: dict[tuple, int] = {}
    for place, (name, tensor) in enumerate(tensors.items()):
        _check(name, tensor)
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device)
        first = seen.setdefault(key, place)
        tied = first if first < place and tensor.numel() else None
        yield Entry(name, tuple(tensor.shape), tensor.dtype, tied)


def _check(name: str, tensor: Tensor) -> None:
    if not isinstance(name, str):
        raise InvalidInputError(f"The name {name!r} of a tensor is a {type(name).__name__}: expected a text.")
    if _UNFINISHED.search(name):
        raise InvalidInputError(
            f"The state dict is that of a model in fine-tuning ({name!r}): call harden(model) first, and "
            "compress model.state_dict() with hardened= the codes that it returns."
        )
    if not isinstance(tensor, torch.Tensor):
        raise InvalidInputError(f"The entry {name!r} is a {type(tensor).__name__}: expected a tensor.")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise InvalidInputError(
            f"The tensor {name!r} is sparse, quantized or has no data: make it a plain tensor first "
            "(to_dense, dequantize, or its integers and scales as tensors of their own)."
        )
