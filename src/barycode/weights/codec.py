"""State dicts to `.bary` bytes and back.

Sections: HEAD (names, forms, ties, metadata), BOOK and VECT (codebooks, before their first use), PART
(tensors under one coder), INDX (where the others are). docs/format.md specifies them.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, BinaryIO

from torch import Tensor

from barycode.container import stream_of
from barycode.errors import InvalidInputError
from barycode.plain_torch import plain_torch
from barycode.weights.allocation.integer_scales import integer_scales
from barycode.weights.allocation.measure import chosen_tables, measure
from barycode.weights.allocation.rate_control import WRITES, SizeModel, fill
from barycode.weights.allocation.report import Report, joined
from barycode.weights.allocation.sensitivity import calibrated
from barycode.weights.allocation.step_shares import relative_shares, shares
from barycode.weights.calibration.statistics import Calibration
from barycode.weights.checkpoints.sources import Source, StateDict
from barycode.weights.deltas import Difference, finer_wholes, with_base
from barycode.weights.file_format.reader import DEFAULT_LIMIT, NetworkReader
from barycode.weights.file_format.writer import Settings, write_file
from barycode.weights.hardened import Hardened
from barycode.weights.quantization.code_vectors import shared_codebooks
from barycode.weights.quantization.quantize import Budget
from barycode.weights.request.rules import DEFAULT_RULES, LOSSLESS_RULES, Quantize, Rule
from barycode.weights.request.targets import (
    BitsPerWeight,
    Lossless,
    MaxError,
    RelativeError,
    Size,
    Step,
    Target,
    checked_target,
)
from barycode.weights.workers import IN_PROCESS, Workers

DEFAULT_TARGET = RelativeError(0.02)
TYPICAL_BITS = 4.0  # per weight, where no target says them: what tables are compared with
ERROR_OF_STEP = 0.62  # root mean square error of the trellis, in steps, at most
FREE_TABLES = 2**16  # bytes that tables may take in a file of any size
MOST_BYTES = 2**60  # of a file: no limit
IN_MEMORY = 2**26  # bytes of a file that may stay there while the next is tried


@dataclass(frozen=True)
class Compressed:
    """The bytes of a file, and what became of each tensor."""

    data: bytes
    report: Report


def compress(
    state_dict: Mapping[str, Tensor],
    target: Target = DEFAULT_TARGET,
    *,
    rules: Sequence[Rule] = DEFAULT_RULES,
    hardened: Mapping[str, Hardened] | None = None,
    calibration: Calibration | None = None,
    metadata: Mapping[str, str] | None = None,
    base: Mapping[str, Tensor] | None = None,
) -> bytes:
    """Compress a state dict to the bytes of a `.bary` file.

    `target` says how small or how exact: RelativeError(0.02), Lossless(), BitsPerWeight(4), Size(bytes),
    MaxError(error), Step(step). `rules` say which tensors are kept finer; `hardened` gives tensors that are
    on their codebooks already, coded with no further loss. `calibration` (of `calibrate`) lets the file's
    bytes go where the network's outputs feel them. `base`, a network that is much the same, makes the file
    the difference to it. Raises InvalidInputError.
    """
    return explain(
        state_dict,
        target,
        rules=rules,
        hardened=hardened,
        calibration=calibration,
        metadata=metadata,
        base=base,
    ).data


def explain(
    state_dict: Mapping[str, Tensor],
    target: Target = DEFAULT_TARGET,
    *,
    rules: Sequence[Rule] = DEFAULT_RULES,
    hardened: Mapping[str, Hardened] | None = None,
    calibration: Calibration | None = None,
    metadata: Mapping[str, str] | None = None,
    base: Mapping[str, Tensor] | None = None,
) -> Compressed:
    """`compress` with its report: what each tensor was coded as and why, its bits, its errors."""
    stream = BytesIO()
    source: Source = StateDict(state_dict, metadata)
    if base is not None:
        source = Difference(source, StateDict(base), isinstance(target, Lossless))
    report = compress_to(stream, source, target, rules=rules, hardened=hardened, calibration=calibration)
    return Compressed(stream.getvalue(), report)


@plain_torch()
def compress_to(
    stream: BinaryIO,
    source: Source,
    target: Target = DEFAULT_TARGET,
    *,
    rules: Sequence[Rule] = DEFAULT_RULES,
    hardened: Mapping[str, Hardened] | None = None,
    calibration: Calibration | None = None,
    workers: Workers = IN_PROCESS,
) -> Report:
    """Write a source to the start of a seekable stream, tensor by tensor, in bounded memory.

    The bytes are the same for any number of workers. Raises InvalidInputError for what cannot be
    compressed, or not to the size asked for.
    """
    source.directory.check()
    limit = byte_limit(source, checked_target(target))
    settings = _settings(target, rules, hardened or {}, source)
    if calibration is not None:
        settings = _calibrated(settings, source, calibration, target)
    if limit is not None and settings.quantized(source.directory):
        return _fit(stream, source, limit, settings, workers)
    report = _write(stream, source, settings, workers)
    if limit is not None and report.size > limit:
        raise _does_not_fit(limit, report)
    return replace(report, limit=limit)


@plain_torch()
def decompress(
    data: bytes, *, base: Mapping[str, Tensor] | None = None, limit: int | None = DEFAULT_LIMIT
) -> dict[str, Tensor]:
    """The tensors of `.bary` bytes: names, order, shapes, dtypes and ties as they were.

    `base` is the network that the file is a difference to, where it is one. `limit` is how many bytes the
    tensors may have, None any number. Raises LimitError beyond it, InvalidInputError for another base,
    CorruptFileError for damaged files, UnsupportedFileError for files of another kind.
    """
    reader = NetworkReader(stream_of(data), limit)
    return with_base(reader, None if base is None else StateDict(base)).state_dict()


def _settings(
    target: Target, rules: Sequence[Rule], hardened: Mapping[str, Hardened], source: Source
) -> Settings:
    if isinstance(target, Lossless):
        return Settings(Budget(1.0), LOSSLESS_RULES, hardened, quick=target.level == "quick")
    entries = [entry for entry in source.directory.entries if entry.tied_to is None]
    measured, limit = measure(source), byte_limit(source, target)
    bits = TYPICAL_BITS if limit is None else 8 * limit / max(sum(entry.size for entry in entries), 1)
    settings = Settings(
        Budget(1.0),
        rules,
        hardened,
        shared=shared_codebooks(source, rules, hardened),
        tables=integer_scales(entries)
        | chosen_tables(measured, entries, bits, FREE_TABLES if limit is None else 0),
        measured=measured,
    )
    if isinstance(target, MaxError):
        return replace(settings, budget=Budget(2 * target.error, target.error))
    quantized = settings.quantized(source.directory)
    if isinstance(target, RelativeError):
        step = Budget(target.error / ERROR_OF_STEP, relative_error=target.error)
        return replace(
            settings,
            budget=step,
            shares=finer_wholes(relative_shares(quantized, measured), source.directory.metadata),
        )
    step = Budget(target.step) if isinstance(target, Step) else Budget(1.0, searched=True)
    return replace(
        settings, budget=step, shares=finer_wholes(shares(quantized, measured), source.directory.metadata)
    )


def _calibrated(settings: Settings, source: Source, calibration: Calibration, target: Target) -> Settings:
    """With steps and codes chosen by what they do to the network's outputs."""
    if isinstance(target, MaxError | RelativeError | Lossless):
        raise InvalidInputError(
            f"A calibration does not go with {type(target).__name__}, which says what becomes of each "
            "weight: ask for a size, for bits a weight or for a step."
        )
    entries = [entry for entry, _ in settings.quantized(source.directory)]
    curvatures, shares = calibrated(entries, calibration, settings.shares)
    return replace(settings, curvatures=curvatures, shares=shares)


def byte_limit(source: Source, target: Target) -> int | None:
    """How many bytes a file may have under a target, None where it does not say."""
    if isinstance(target, Size):
        return target.bytes
    if isinstance(target, BitsPerWeight):
        weights = sum(entry.size for entry in source.directory.entries if entry.tied_to is None)
        return int(min(target.bits * weights / 8, MOST_BYTES))
    return None


def _fit(stream: BinaryIO, source: Source, limit: int, settings: Settings, workers: Workers) -> Report:
    """Write the finest file of at most `limit` bytes that a few whole passes find."""
    quantized = settings.quantized(source.directory)
    known = {entry.name for entry, _ in quantized}
    kept = sum(
        settings.measured[entry.name].exact_bits / 8 if entry.name in settings.measured else entry.nbytes / 2
        for entry in source.directory.entries
        if entry.tied_to is None and entry.name not in known
    )
    finenesses = [(entry, _fineness(rule)) for entry, rule in quantized]
    model = SizeModel(finenesses, settings.measured, settings.shares, kept + 100)
    exact = kept + sum(settings.measured[entry.name].exact_bits for entry, _ in quantized) / 8
    writes = WRITES
    if exact <= limit:
        writes -= 1
        every_bit = Settings(Budget(1.0), LOSSLESS_RULES, settings.hardened)
        report = _write(stream, source, every_bit, workers)
        if report.size <= limit:
            return replace(report, limit=limit)
    best: int | None = None
    smallest: Report | None = None
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as trial:

        def write(step: float) -> Report:
            nonlocal best, smallest
            report = _write(trial, source, settings.at(step), workers)
            if smallest is None or report.size < smallest.size:
                smallest = report
            if report.size <= limit and (best is None or report.size > best):
                best = report.size
                _copy(trial, stream)
            return report

        found = fill(write, model, limit, writes)
    if found is None:
        assert smallest is not None
        raise _does_not_fit(limit, smallest)
    return replace(found, limit=limit)


def _does_not_fit(limit: int, report: Report) -> InvalidInputError:
    exact = sum(tensor.bits for tensor in report.tensors if not tensor.noise) / 8
    return InvalidInputError(
        f"The tensors do not fit {limit:,} bytes: the smallest file found has {report.size:,}, of which "
        f"{exact:,.0f} are tensors that are kept exactly or rounded. Ask for more, or let fewer be kept; "
        "with integers only there is nothing to refine, so take --lossless."
    )


def _fineness(rule: Rule) -> float:
    assert isinstance(rule.treatment, Quantize)
    return rule.treatment.fineness


def _copy(trial: Any, stream: BinaryIO) -> None:
    trial.seek(0)
    stream.seek(0)
    stream.truncate()
    shutil.copyfileobj(trial, stream)


def _write(stream: Any, source: Source, settings: Settings, workers: Workers) -> Report:
    stream.seek(0)
    stream.truncate()
    blocks = [block for part in write_file(stream, source, settings, workers) for block in part]
    return Report(stream.tell(), source.directory.nbytes, joined(blocks))
