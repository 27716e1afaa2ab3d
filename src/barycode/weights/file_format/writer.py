"""Tensors to the sections of a file, one part at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from torch import Tensor

from barycode.container import ByteWriter, ContainerWriter, Section
from barycode.errors import InvalidInputError
from barycode.rate import SymbolEncoder
from barycode.rate.entropy_constrained import VectorCoder
from barycode.weights.allocation.report import TensorReport, errors
from barycode.weights.checkpoints.sources import Source
from barycode.weights.entropy_coding.symbol_costs import Metered
from barycode.weights.entropy_coding.symbol_stream import Writing
from barycode.weights.file_format.codebooks import Codebooks, book_section
from barycode.weights.file_format.directory import Directory, Entry
from barycode.weights.file_format.methods import Trellis, write_method
from barycode.weights.file_format.number_formats import to_bits
from barycode.weights.file_format.part import PartCoder
from barycode.weights.hardened import Hardened
from barycode.weights.quantization.code_vectors import prepare_runs
from barycode.weights.quantization.curvature import Curvature
from barycode.weights.quantization.dequantize import dequantize
from barycode.weights.quantization.quantize import Budget, Prepared, prepare, prepare_hardened
from barycode.weights.request.rules import DEFAULT_RULES, Quantize, Rule, Vectors, rule_for

KIND = "wght"
MAX_GROWTH = 2**10  # entries that a byte of a part may stand for, so that no small file fills the memory
PART_ENTRIES = 2**20  # tensors are collected until they have so many


@dataclass(frozen=True)
class Settings:
    """What is done to each tensor: rules, how fine, and tensors that are on their codebooks already.

    `shares` are the tensors' multiples of the step, by name (`allocation.step_shares`), else 1.
    `shared` are the codebooks that tensors of one treatment have in common.
    """

    budget: Budget
    rules: Sequence[Rule] = DEFAULT_RULES
    hardened: Mapping[str, Hardened] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    shared: Mapping[Vectors, VectorCoder] = field(default_factory=dict)
    curvatures: Mapping[str, Curvature] = field(default_factory=dict)

    def has_steps(self, directory: Directory) -> bool:
        """Whether any tensor's size depends on the step."""
        return bool(self.quantized(directory))

    def quantized(self, directory: Directory) -> list[Entry]:
        """The tensors whose size depends on the step."""
        return [
            entry
            for entry in directory.entries
            if entry.tied_to is None
            and entry.size
            and entry.name not in self.hardened
            and isinstance(rule_for(entry, self.rules).treatment, Quantize)
        ]

    def at(self, step: float) -> "Settings":
        """The same with another step."""
        return replace(self, budget=replace(self.budget, step=step))

    def budget_of(self, entry: Entry) -> Budget:
        """With the tensor's own share of the step."""
        return replace(self.budget, step=self.budget.step * self.shares.get(entry.name, 1.0))


def write_file(stream: BinaryIO, source: Source, settings: Settings) -> Iterator[list[TensorReport]]:
    """Write a whole file to a binary stream; gives the fates of each part's tensors once it is written.

    Memory is bounded by the largest tensor and PART_ENTRIES.
    """
    entries = [entry for entry in source.directory.entries if entry.tied_to is None]
    _check_hardened(settings.hardened, entries)
    books, told = Codebooks(), 0
    with ContainerWriter(stream, KIND) as writer:
        writer.add(Section("HEAD", source.directory.to_bytes()))
        for group in _groups(entries):
            tensors = [_load(source, entry, settings.hardened) for entry in group]
            prepared = [
                _prepare(entry, tensor, settings, books) for entry, tensor in zip(group, tensors, strict=True)
            ]
            for book in books.books[told:]:
                writer.add(book_section(book))
            told = len(books.books)
            payload, fates = _encode_part(prepared, tensors, books, settings.curvatures)
            writer.add(Section("PART", payload))
            yield fates


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    group: list[Entry] = []
    for entry in entries:
        group.append(entry)
        if sum(member.size for member in group) >= PART_ENTRIES:
            yield group
            group = []
    if group:
        yield group


def _load(source: Source, entry: Entry, hardened: Mapping[str, Hardened]) -> Tensor:
    known = hardened.get(entry.name)
    return (source.load(entry.name) if known is None else known.tensor()).detach().cpu()


def _prepare(entry: Entry, tensor: Tensor, settings: Settings, books: Codebooks) -> Prepared:
    known = settings.hardened.get(entry.name)
    if known is not None:
        return prepare_hardened(entry, known, books)
    rule = rule_for(entry, settings.rules)
    if isinstance(rule.treatment, Vectors) and entry.size and bool(tensor.isfinite().all()):
        return prepare_runs(entry, tensor, rule.treatment, rule.reason, settings.shared, books)
    return prepare(entry, tensor, rule, settings.budget_of(entry), books)


def _encode_part(
    prepared: Sequence[Prepared],
    tensors: Sequence[Tensor],
    books: Codebooks,
    curvatures: Mapping[str, Curvature],
) -> tuple[bytes, list[TensorReport]]:
    writer, encoder = ByteWriter(), SymbolEncoder()
    writer.varint(len(prepared))
    for each in prepared:
        write_method(writer, each.item.method)
    exchange = Writing(encoder)
    coder = PartCoder(exchange, Metered(exchange))
    felt = {
        place: curvatures[each.item.entry.name]
        for place, each in enumerate(prepared)
        if isinstance(each.item.method, Trellis) and each.item.entry.name in curvatures
    }
    results = coder.code([each.item for each in prepared], [each.source for each in prepared], felt)
    writer.blob(encoder.finish())
    entries = sum(each.item.entry.size for each in prepared)
    writer.raw(bytes(max(-(-entries // MAX_GROWTH) - writer.size, 0)))
    fates = [
        _fate(each, before, dequantize(each.item, result, books.books), coder.bits[place])
        for place, (each, before, result) in enumerate(zip(prepared, tensors, results, strict=True))
    ]
    return writer.finish(), fates


def _fate(prepared: Prepared, before: Tensor, after: Tensor, bits: float) -> TensorReport:
    entry, method = prepared.item.entry, prepared.item.method
    same = bool((to_bits(before) == to_bits(after)).all())
    off, noise, signal = (0.0, 0.0, 0.0) if same else errors(before, after)
    return TensorReport(entry.name, entry.size, method.words, prepared.reason, bits, off, noise, signal)


def _check_hardened(hardened: Mapping[str, Hardened], entries: Sequence[Entry]) -> None:
    known = {entry.name: entry for entry in entries}
    for name, tensor in hardened.items():
        entry = known.get(name)
        form = (tuple(tensor.indices.shape), tensor.centers.dtype)
        if entry is None or (entry.shape, entry.dtype) != form:
            raise InvalidInputError(
                f"The hardened tensor {name!r} is {form[1]} of shape {form[0]}: the state dict has "
                f"{'none of that name' if entry is None else f'{entry.dtype} of shape {entry.shape}'}."
            )
