"""State dicts to `.bary` bytes and back.

Sections: HEAD (names, forms, ties, metadata), BOOK (codebooks, before their first use), PART (tensors under
one coder). docs/format.md specifies them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.weights.allocation.rate_control import Sample, fitting_step
from barycode.weights.allocation.report import Report
from barycode.weights.allocation.sensitivity import calibrated
from barycode.weights.allocation.step_shares import shares
from barycode.weights.calibration.statistics import Calibration
from barycode.weights.checkpoints.sources import Source, StateDict
from barycode.weights.file_format.number_formats import element_bytes
from barycode.weights.file_format.reader import NetworkReader
from barycode.weights.file_format.writer import Settings, write_file
from barycode.weights.hardened import Hardened
from barycode.weights.quantization.code_vectors import shared_codebooks
from barycode.weights.quantization.quantize import Budget
from barycode.weights.request.rules import DEFAULT_RULES, LOSSLESS_RULES, Rule
from barycode.weights.request.targets import BitsPerWeight, Lossless, MaxError, Size, Step, Target

DEFAULT_TARGET = BitsPerWeight(4)
ATTEMPTS = 5  # whole passes over a large source until the file has the size asked for
CLOSE = 0.985  # of that size is close enough


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
) -> bytes:
    """Compress a state dict to the bytes of a `.bary` file.

    `target` says how small or how exact: Lossless(), BitsPerWeight(4), Size(bytes), MaxError(error),
    Step(step). `rules` say which tensors are kept finer; `hardened` gives tensors that are on their
    codebooks already, coded with no further loss. `calibration` (of `calibrate`) lets the file's bytes go
    where the network's outputs feel them. Raises InvalidInputError.
    """
    return explain(
        state_dict, target, rules=rules, hardened=hardened, calibration=calibration, metadata=metadata
    ).data


def explain(
    state_dict: Mapping[str, Tensor],
    target: Target = DEFAULT_TARGET,
    *,
    rules: Sequence[Rule] = DEFAULT_RULES,
    hardened: Mapping[str, Hardened] | None = None,
    calibration: Calibration | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Compressed:
    """`compress` with its report: what each tensor was coded as and why, its bits, its errors."""
    stream = BytesIO()
    source = StateDict(state_dict, metadata)
    report = compress_to(stream, source, target, rules=rules, hardened=hardened, calibration=calibration)
    return Compressed(stream.getvalue(), report)


def compress_to(
    stream: BinaryIO,
    source: Source,
    target: Target = DEFAULT_TARGET,
    *,
    rules: Sequence[Rule] = DEFAULT_RULES,
    hardened: Mapping[str, Hardened] | None = None,
    calibration: Calibration | None = None,
) -> Report:
    """Write a source to the start of a seekable stream, tensor by tensor, in bounded memory."""
    settings = _settings(target, rules, hardened or {}, source)
    if calibration is not None:
        settings = _calibrated(settings, source, calibration, target)
    if isinstance(target, BitsPerWeight | Size) and settings.has_steps(source.directory):
        return _fit(stream, source, _limit(source, target), settings)
    return _write(stream, source, settings)


def decompress(data: bytes) -> dict[str, Tensor]:
    """The tensors of `.bary` bytes: names, order, shapes, dtypes and ties as they were.

    Raises CorruptFileError for damaged files, UnsupportedFileError for files of another kind.
    """
    return NetworkReader(BytesIO(data)).state_dict()


def _settings(
    target: Target, rules: Sequence[Rule], hardened: Mapping[str, Hardened], source: Source
) -> Settings:
    if isinstance(target, Lossless):
        return Settings(Budget(1.0), LOSSLESS_RULES, hardened)
    shared = shared_codebooks(source, rules, hardened)
    if isinstance(target, MaxError):
        return Settings(Budget(2 * target.error, target.error), rules, hardened, shared=shared)
    step = target.step if isinstance(target, Step) else 1.0
    return Settings(Budget(step), rules, hardened, shares(source, rules, hardened), shared)


def _calibrated(settings: Settings, source: Source, calibration: Calibration, target: Target) -> Settings:
    """With steps and codes chosen by what they do to the network's outputs."""
    if isinstance(target, MaxError | Lossless):
        raise InvalidInputError(
            f"A calibration does not go with {type(target).__name__}, which says what becomes of each "
            "weight: ask for a size, for bits a weight or for a step."
        )
    curvatures, shares = calibrated(settings.quantized(source.directory), calibration, settings.shares)
    return replace(settings, curvatures=curvatures, shares=shares)


def _limit(source: Source, target: BitsPerWeight | Size) -> int:
    if isinstance(target, Size):
        return target.bytes
    return int(target.bits * sum(e.size for e in source.directory.entries if e.tied_to is None) / 8)


def _fit(stream: BinaryIO, source: Source, limit: int, settings: Settings) -> Report:
    """Write the finest file of at most `limit` bytes: found on a sample, corrected by what it takes."""
    sample, goal, step = Sample(source), limit, None
    fitting: list[float] = []
    for _ in range(ATTEMPTS):
        step = fitting_step(sample, settings, goal, step)
        report = _write(stream, source, settings.at(step))
        if report.size <= limit:
            fitting.append(step)
            if report.size >= CLOSE * limit or sample.whole:
                return report
        goal = int(goal * limit / report.size * (1 + CLOSE) / 2)
    if not fitting:
        raise InvalidInputError(f"The tensors do not fit {limit} bytes: ask for more, or keep fewer finer.")
    return report if step == min(fitting) else _write(stream, source, settings.at(min(fitting)))


def _write(stream: BinaryIO, source: Source, settings: Settings) -> Report:
    stream.seek(0)
    stream.truncate()
    fates = [fate for part in write_file(stream, source, settings) for fate in part]
    entries = [entry for entry in source.directory.entries if entry.tied_to is None]
    before = sum(entry.size * element_bytes(entry.dtype) for entry in entries)
    return Report(stream.tell(), before, tuple(fates))
