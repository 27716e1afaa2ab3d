"""Networks as their differences to another, the base: fine-tuned checkpoints in a fraction of their bytes.

A difference is a state dict like any other. Lossless: floats are put in order as integers, so that numbers
that are near each other differ by little, and integers are subtracted. Lossy: the differences themselves.
What tensors the base does not have, in that shape and type, are as they are. The metadata name the base by
what it holds.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from barycode.container import EXTENSION
from barycode.errors import CorruptFileError, InvalidInputError
from barycode.weights.checkpoints.files import open_source
from barycode.weights.checkpoints.sources import Source, StateDict
from barycode.weights.file_format.blocks import PART_ENTRIES, Block
from barycode.weights.file_format.directory import Directory, Entry
from barycode.weights.file_format.number_formats import FLOATS, element_bytes, from_bits, to_bits
from barycode.weights.file_format.reader import NetworkReader, tied_again

WHOLE = 16  # times finer are the steps of what is no difference
BASE = "barycode.base"  # in the metadata: {"sha256": of the base, "bits": [names], "values": [names]}
_WITHOUT_ARITHMETIC = frozenset(dtype for dtype, form in FLOATS.items() if element_bytes(dtype) == 1)
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Described:
    """What a difference says: its base, and the tensors that are differences of bits or of values."""

    fingerprint: str
    bits: frozenset[str]
    values: frozenset[str]

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> "Described | None":
        """None for a file that is no difference."""
        if BASE not in metadata:
            return None
        try:
            told = json.loads(metadata[BASE])
            described = cls(str(told["sha256"]), frozenset(told["bits"]), frozenset(told["values"]))
            if described.text() != metadata[BASE]:
                raise ValueError("not as an encoder writes it")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CorruptFileError(
                "The file does not say well which network it is a difference to."
            ) from error
        return described

    def text(self) -> str:
        return json.dumps(
            {"sha256": self.fingerprint, "bits": sorted(self.bits), "values": sorted(self.values)}
        )


def fingerprint(source: Source) -> str:
    """SHA-256 of names, types, shapes and bits, in the order of names: that of the file does not count."""
    whole = hashlib.sha256()
    for entry in sorted(source.directory.entries, key=lambda entry: entry.name):
        whole.update(f"{entry.name}\0{entry.dtype}\0{entry.shape}\0".encode())
        whole.update(to_bits(source.load(entry.name)).data)
    return whole.hexdigest()


def open_base(path: Path) -> Source:
    """The base in a checkpoint or a .bary file."""
    if path.suffix.lower() != EXTENSION:
        return open_source(path)
    with path.open("rb") as stream:
        return StateDict(with_base(NetworkReader(stream), None).state_dict())


def with_base(reader: NetworkReader, base: Source | None) -> "NetworkReader | Restored":
    """A reader of the network that a file holds or is the difference to the base of; InvalidInputError where
    there is a base and no difference, or the other way round, or another base.
    """
    if base is not None:
        return Restored(reader, base)
    refuse_difference(reader.directory.metadata)
    return reader


class Difference:
    """A source that gives the differences of another to a base."""

    def __init__(self, source: Source, base: Source, lossless: bool) -> None:
        self._source, self._base = source, base
        self.left_out, self.note = source.left_out, source.note
        if Described.of(source.directory.metadata) is not None:
            raise InvalidInputError(
                "This network is a difference already: decompress it with its base first."
            )
        known = {entry.name: _form(entry) for entry in base.directory.entries}
        alike = frozenset(
            entry.name
            for entry in source.directory.entries
            if entry.tied_to is None and entry.dtype in FLOATS and known.get(entry.name) == _form(entry)
        )
        if not alike:
            raise InvalidInputError(
                "The base has no tensor of floats in common with this network: names, shapes and types are "
                "all others. Is it the network that this one was fine-tuned from?"
            )
        values: frozenset[str] = frozenset()
        if not lossless:
            values = frozenset(name for name in alike if known[name][1] not in _WITHOUT_ARITHMETIC)
            alike -= values
            values = frozenset(name for name in values if subtractable(source.load(name), base.load(name)))
        self._told = Described(fingerprint(base), alike, values)
        entries = source.directory.entries
        self.directory = Directory(
            tuple(replace(entry, dtype=self._type(entry, entries)) for entry in entries),
            {**source.directory.metadata, BASE: self._told.text()},
        )

    def load(self, name: str) -> Tensor:
        tensor = self._source.load(name).detach().cpu()
        if name in self._told.bits:
            return bit_difference(tensor, self._base.load(name).detach().cpu())
        if name in self._told.values:
            return tensor - self._base.load(name).detach().cpu()
        return tensor

    def _type(self, entry: Entry, entries: Sequence[Entry]) -> torch.dtype:
        origin = entry if entry.tied_to is None else entries[entry.tied_to]
        return _INTEGERS[element_bytes(entry.dtype)] if origin.name in self._told.bits else entry.dtype


class Restored:
    """A reader that gives the network of which a file has the difference to a base."""

    def __init__(self, reader: NetworkReader, base: Source) -> None:
        told = Described.of(reader.directory.metadata)
        if told is None:
            raise InvalidInputError("This file is no difference to a base: decompress it without one.")
        if fingerprint(base) != told.fingerprint:
            raise InvalidInputError(
                f"The file is the difference to another base, that with the SHA-256 {told.fingerprint}."
            )
        self._reader, self._base, self._told = reader, base, told
        self._types = {entry.name: entry.dtype for entry in base.directory.entries}
        entries = reader.directory.entries
        _check_differences(told, {entry.name: entry for entry in entries}, base.directory.entries)
        metadata = {key: text for key, text in reader.directory.metadata.items() if key != BASE}
        restored = tuple(replace(entry, dtype=self._type(entry, entries)) for entry in entries)
        self.directory = Directory(restored, metadata)
        self._loaded: tuple[str, Tensor] | None = None

    def blocks(self) -> Iterator[tuple[Block, Tensor]]:
        """The blocks of tensors that are not tied, in order."""
        for block, difference in self._reader.blocks():
            yield block, self._restored(block.entry, block.of(self._of_base(block.entry.name)), difference)

    def tensors(self) -> Iterator[tuple[Entry, Tensor]]:
        """The tensors that are not tied to another, in order."""
        own = {entry.name: entry for entry in self.directory.entries}
        for entry, difference in self._reader.tensors():
            yield own[entry.name], self._restored(entry, self._of_base(entry.name), difference)

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors by name, in order; tied ones are the same object."""
        return tied_again(self.directory, {entry.name: tensor for entry, tensor in self.tensors()})

    def _of_base(self, name: str) -> Tensor:
        if name not in self._told.bits | self._told.values:
            return torch.empty(0)
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = name, self._base.load(name).detach().cpu()
        return self._loaded[1]

    def _restored(self, entry: Entry, base: Tensor, difference: Tensor) -> Tensor:
        if entry.name in self._told.bits:
            return bit_sum(base, difference)
        return base + difference if entry.name in self._told.values else difference

    def _type(self, entry: Entry, entries: Sequence[Entry]) -> torch.dtype:
        origin = entry if entry.tied_to is None else entries[entry.tied_to]
        return self._types[origin.name] if origin.name in self._told.bits else entry.dtype


def _check_differences(told: Described, entries: Mapping[str, Entry], base: Sequence[Entry]) -> None:
    """Raise CorruptFileError for what is no difference of a tensor that file and base have."""
    known = {entry.name: entry for entry in base}
    for name in sorted(told.bits | told.values):
        own, other = entries.get(name), known.get(name)
        if own is None or own.tied_to is not None or other is None or own.shape != other.shape:
            raise CorruptFileError(
                f"File and base do not both have a tensor {name!r} of one shape: the file is damaged."
            )
        if other.dtype not in FLOATS or own.dtype != _type_of_difference(other.dtype, name in told.bits):
            raise CorruptFileError(f"The difference of {name!r} is of another type: the file is damaged.")


def _type_of_difference(dtype: torch.dtype, of_bits: bool) -> torch.dtype | None:
    """None for floats that have no differences of values."""
    if of_bits:
        return _INTEGERS[element_bytes(dtype)]
    return None if dtype in _WITHOUT_ARITHMETIC else dtype


def subtractable(tensor: Tensor, base: Tensor) -> bool:
    """Whether base + (tensor - base) is near the tensor wherever that is finite: no infinity gets in."""
    difference = tensor.detach().cpu() - base.detach().cpu()
    return bool(base.isfinite().all()) and bool((difference.isfinite() | ~tensor.isfinite()).all())


def bit_difference(tensor: Tensor, base: Tensor) -> Tensor:
    """How many numbers of their type a tensor's are above those of the base, as integers that wrap around."""
    bits, of_base = to_bits(tensor), to_bits(base)
    steps = np.empty_like(bits)
    for start in range(0, len(bits), PART_ENTRIES):
        block = slice(start, start + PART_ENTRIES)
        steps[block] = _ordered(bits[block]) - _ordered(of_base[block])
    return from_bits(steps, _INTEGERS[element_bytes(tensor.dtype)], tuple(tensor.shape))


def bit_sum(base: Tensor, difference: Tensor) -> Tensor:
    """What a tensor was that has the difference to a base."""
    bits = _ordered(_ordered(to_bits(base)) + to_bits(difference))
    return from_bits(bits, base.dtype, tuple(base.shape))


def _ordered(bits: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """Floats' bits as signed integers in the order of the numbers, and back."""
    kind, top = bits.dtype.type, 8 * bits.itemsize - 1
    return bits ^ ((kind(0) - (bits >> kind(top))) >> kind(1))


def refuse_difference(metadata: Mapping[str, str]) -> None:
    """Raise InvalidInputError for a file that is a difference, where there is no base."""
    if (told := Described.of(metadata)) is not None:
        raise InvalidInputError(
            "The file is the difference to a base, the network with the SHA-256 "
            f"{told.fingerprint}: decompress it with that (base=, --base)."
        )


def finer_wholes(shares: Mapping[str, float], metadata: Mapping[str, str]) -> dict[str, float]:
    """Multiples of the step by name, smaller for what is no difference, in a file of differences: what is a
    small error of a difference, which is little beside the weights, is a large one of a new last layer.
    """
    told = Described.of(metadata)
    return {
        name: share if told is None or name in told.values else share / WHOLE
        for name, share in shares.items()
    }


def _form(entry: Entry) -> tuple:
    return entry.shape, entry.dtype
