"""Tensors to the sections of a file, one part at a time."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from torch import Tensor

from barycode.container import ByteWriter, ContainerWriter, Section
from barycode.errors import InvalidInputError
from barycode.rate.entropy_constrained import VectorCoder
from barycode.weights.allocation.measure import Measurement
from barycode.weights.allocation.report import TensorReport, compared
from barycode.weights.checkpoints.sources import Source
from barycode.weights.entropy_coding.symbol_costs import CostRecorder
from barycode.weights.entropy_coding.symbol_stream import writing
from barycode.weights.file_format.blocks import Block, parts_of
from barycode.weights.file_format.codebooks import Codebooks, codebook_section
from barycode.weights.file_format.directory import Directory, Entry
from barycode.weights.file_format.index import index_section
from barycode.weights.file_format.items import write_item
from barycode.weights.file_format.methods import Trellis
from barycode.weights.file_format.number_formats import PlainTensor
from barycode.weights.file_format.part import PartCoder
from barycode.weights.hardened import Hardened
from barycode.weights.quantization.code_vectors import prepare_vectors
from barycode.weights.quantization.curvature import Curvature
from barycode.weights.quantization.dequantize import dequantize
from barycode.weights.quantization.lossless_level import by_level, by_repeats
from barycode.weights.quantization.quantize import Budget, Prepared, prepare, prepare_hardened, with_aside
from barycode.weights.request.rules import DEFAULT_RULES, Keep, Quantize, Rule, Vectors, rule_for
from barycode.weights.workers import IN_PROCESS, Workers

KIND = "wght"
MAX_GROWTH = 2**10  # entries that a byte of a part may stand for, so that no small file fills the memory

NOT_FINITE = Rule("*", Keep(), "many entries are not finite")


@dataclass(frozen=True)
class Settings:
    """What is done to each tensor: rules, how fine, and tensors that are on their codebooks already.

    `shares` are the tensors' multiples of the step, by name (`allocation.step_shares`), else 1.
    `shared` are the codebooks that tensors of one treatment have in common. `tables` are the names of tensors
    that rules for tables apply to; `measured` is what is known of tensors, by name. `quick`: how
    exact tensors are kept.
    """

    budget: Budget
    rules: Sequence[Rule] = DEFAULT_RULES
    hardened: Mapping[str, Hardened] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    shared: Mapping[Vectors, VectorCoder] = field(default_factory=dict)
    curvatures: Mapping[str, Curvature] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    quick: bool = False

    def rule_of(self, entry: Entry) -> Rule:
        """What may be done to a tensor; for a table with the reason why it is one."""
        rule = rule_for(entry, self.rules, entry.name in self.tables)
        if rule.tables and entry.name in self.measured:
            return replace(rule, reason=f"{rule.reason}: {self.measured[entry.name].table}")
        return rule

    def quantized(self, directory: Directory) -> list[tuple[Entry, Rule]]:
        """The tensors whose size depends on the step, with their rules."""
        ruled = (
            (entry, self.rule_of(entry))
            for entry in directory.entries
            if entry.tied_to is None and entry.size and entry.name not in self.hardened
        )
        return [(entry, rule) for entry, rule in ruled if isinstance(rule.treatment, Quantize)]

    def at(self, step: float) -> "Settings":
        """The same with another step."""
        return replace(self, budget=replace(self.budget, step=step))

    def budget_of(self, entry: Entry) -> Budget:
        """With the tensor's own share of the step."""
        return replace(self.budget, step=self.budget.step * self.shares.get(entry.name, 1.0))


def write_file(
    stream: BinaryIO, source: Source, settings: Settings, workers: Workers = IN_PROCESS
) -> Iterator[list[TensorReport]]:
    """Write a whole file to a binary stream; gives the reports of each part's blocks once it is written.

    Memory is bounded by the largest tensor and PART_ENTRIES for each worker.
    """
    _check_hardened(settings.hardened, source.directory.entries)
    codebooks = Codebooks()
    new_codebooks: deque[list[Tensor]] = deque()  # of the parts that are not written yet
    sections: list[tuple[str, int]] = []
    with ContainerWriter(stream, KIND) as writer:

        def add(section: Section) -> None:
            writer.add(section)
            sections.append((section.tag, len(section.payload)))

        add(Section("HEAD", source.directory.to_bytes()))
        jobs = _part_jobs(source, settings, codebooks, new_codebooks)
        for payload, reports in workers.ordered(_encode_part, jobs):
            for codebook in new_codebooks.popleft():
                add(codebook_section(codebook))
            add(Section("PART", payload))
            yield reports
        if [tag for tag, _ in sections].count("PART") > 1:
            writer.add(index_section(sections))


def _part_jobs(
    source: Source, settings: Settings, codebooks: Codebooks, new_codebooks: deque[list[Tensor]]
) -> Iterator[tuple]:
    """What `_encode_part` takes, part by part; the codebooks that each brings go to `new_codebooks`."""
    told, loaded = 0, _Loaded(source, settings.hardened)
    for blocks in parts_of(source.directory.entries):
        tensors = [block.of(loaded.tensor(block.entry)) for block in blocks]
        prepared = [
            _prepare(block, tensor, settings, codebooks)
            for block, tensor in zip(blocks, tensors, strict=True)
        ]
        prepared = by_level(prepared, settings.quick)
        new_codebooks.append(codebooks.tensors[told:])
        told = len(codebooks.tensors)
        plain = [PlainTensor.of(tensor) for tensor in tensors]
        yield (
            prepared,
            plain,
            [PlainTensor.of(codebook) for codebook in codebooks.tensors],
            _felt(blocks, prepared, settings),
        )


class _Loaded:
    """The tensor that was loaded last: a block after the other of one tensor reads it once."""

    def __init__(self, source: Source, hardened: Mapping[str, Hardened]) -> None:
        self._source = source
        self._hardened = hardened
        self._last: tuple[str, Tensor] | None = None

    def tensor(self, entry: Entry) -> Tensor:
        if self._last is None or self._last[0] != entry.name:
            self._last = None  # before the next is loaded
            known = self._hardened.get(entry.name)
            tensor = self._source.load(entry.name) if known is None else known.tensor()
            self._last = entry.name, tensor.detach().cpu()
        return self._last[1]


def _prepare(block: Block, tensor: Tensor, settings: Settings, codebooks: Codebooks) -> Prepared:
    """Codebooks are in a file in the order of their first uses, so tensors are prepared in order."""
    prepared = _treated(block, tensor, settings, codebooks)
    return prepared if settings.quick else by_repeats(prepared, codebooks)


def _treated(block: Block, tensor: Tensor, settings: Settings, codebooks: Codebooks) -> Prepared:
    entry, known = block.part, settings.hardened.get(block.entry.name)
    if known is not None:
        return prepare_hardened(entry, Hardened(block.of(known.indices), known.centers), codebooks)
    rule = settings.rule_of(block.entry)
    measured = settings.measured.get(entry.name)
    if isinstance(rule.treatment, Vectors) and entry.size:
        treatment, reason = rule.treatment, rule.reason
        done = with_aside(
            tensor,
            measured.scale if measured else 0.0,
            lambda bulk: prepare_vectors(entry, bulk, treatment, reason, settings.shared, codebooks),
        )
        return done or prepare(entry, tensor, NOT_FINITE, settings.budget, codebooks)
    part = measured.of_rows(block.part.size) if measured and not block.whole else measured
    return prepare(entry, tensor, rule, settings.budget_of(entry), codebooks, part)


def _felt(blocks: Sequence[Block], prepared: Sequence[Prepared], settings: Settings) -> dict[int, Curvature]:
    """How much the errors of those blocks count that are on the trellis, by their places."""
    found = {}
    for place, (block, each) in enumerate(zip(blocks, prepared, strict=True)):
        known = settings.curvatures.get(block.entry.name)
        if known is not None and isinstance(each.item.method, Trellis) and block.shape[0] == known.rows:
            found[place] = known.of_rows(block.start, block.stop)
    return found


def _encode_part(
    prepared: Sequence[Prepared],
    tensors: Sequence[PlainTensor],
    codebooks: Sequence[PlainTensor],
    curvatures: Mapping[int, Curvature],
) -> tuple[bytes, list[TensorReport]]:
    writer, exchange = ByteWriter(), writing(sum(each.source.size for each in prepared))
    writer.varint(len(prepared))
    for each in prepared:
        write_item(writer, each.item)
    coder = PartCoder(exchange, CostRecorder(exchange))
    results = coder.code([each.item for each in prepared], [each.source for each in prepared], curvatures)
    writer.blob(exchange.finish())
    for group in coder.groups:
        writer.blob(group)
    entries = sum(each.item.entry.size for each in prepared)
    writer.raw(bytes(padding(entries, writer.size)))
    centers = [codebook.tensor() for codebook in codebooks]
    reports = [
        compared(each.item, each.reason, before.tensor(), dequantize(each.item, result, centers), bits)
        for each, before, result, bits in zip(prepared, tensors, results, coder.costs(), strict=True)
    ]
    return writer.finish(), reports


def padding(entries: int, size: int) -> int:
    """Zero bytes behind the `size` bytes of a part, so that it has one for every MAX_GROWTH entries."""
    return max(-(-entries // MAX_GROWTH) - size, 0)


def _check_hardened(hardened: Mapping[str, Hardened], entries: Sequence[Entry]) -> None:
    known = {entry.name: entry for entry in entries if entry.tied_to is None}
    for name, tensor in hardened.items():
        entry = known.get(name)
        form = (tuple(tensor.indices.shape), tensor.centers.dtype)
        if entry is None or (entry.shape, entry.dtype) != form:
            raise InvalidInputError(
                f"The hardened tensor {name!r} is {form[1]} of shape {form[0]}: the state dict has "
                f"{'none of that name' if entry is None else f'{entry.dtype} of shape {entry.shape}'}."
            )
