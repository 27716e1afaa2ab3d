"""Networks on the command line: which target was asked for, and files in and out."""

import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

from barycode.cli import streams
from barycode.cli.jobs import STANDARD, Job
from barycode.cli.sizes import GREW, shown_change, shown_size
from barycode.cli.text import printable
from barycode.errors import BarycodeError, InvalidInputError, UnsupportedFileError

if TYPE_CHECKING:
    from barycode.weights.allocation.report import Report
    from barycode.weights.checkpoints.sources import Source
    from barycode.weights.file_format.directory import Entry
    from barycode.weights.request.targets import Target
    from barycode.weights.workers import Workers

SUFFIXES = frozenset({".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".json", ".npz", ".onnx", ".gguf"})
PYTORCH = frozenset({".pt", ".pth", ".bin", ".ckpt"})
WRITTEN = PYTORCH | {".safetensors", ".npz"}
FOREIGN = frozenset(
    {
        ".ggml",
        ".jit",
        ".npy",
        ".h5",
        ".hdf5",
        ".keras",
        ".tflite",
        ".pb",
        ".msgpack",
        ".pkl",
    }
)
KIND = "wght"
CHUNK = 2**20
HEADINGS = ("tensor", "shape", "dtype", "coded as", "bits", "per weight")


def target_of(
    lossless: bool,
    bits: float | None,
    size: int | None,
    error: float | None,
    relative: float | None,
    level: str | None = None,
) -> "Target | None":
    """The one target that was asked for, or None."""
    if level is not None and not lossless:
        raise InvalidInputError("--level says how to keep every bit: it goes with --lossless.")
    if not lossless and all(asked is None for asked in (bits, size, error, relative)):
        return None  # and nothing to wait for: a picture, or a call that is refused
    from barycode.weights import BitsPerWeight, Lossless, MaxError, RelativeError, Size
    from barycode.weights.request.targets import LEVELS

    asked: list[Target] = [
        *([Lossless(level or LEVELS[0])] if lossless else []),
        *([BitsPerWeight(bits)] if bits is not None else []),
        *([Size(size)] if size is not None else []),
        *([MaxError(error)] if error is not None else []),
        *([RelativeError(relative)] if relative is not None else []),
    ]
    if len(asked) > 1:
        raise InvalidInputError(
            "Give one of --lossless, --relative-error, --bits-per-weight, --size and --max-error, "
            "not several."
        )
    return asked[0]


@dataclass(frozen=True)
class NetworkOptions:
    """How networks are compressed: to what, which tensors exactly, by how many processes (None: all CPUs),
    where in a PyTorch file the state dict is, and the network that the file is to be the difference to.
    """

    target: "Target | None"
    keep: Sequence[str] = ()
    workers: int | None = None
    key: str | None = None
    base: Path | None = None


def compress(job: Job, checkpoint: Path, suffix: str, options: NetworkOptions, force: bool) -> str:
    """Compress the job's checkpoint, a file of the type `suffix`; the line to print."""
    with tempfile.TemporaryFile() as file:
        report, source = write_compressed(file, checkpoint, job.source_name, options, suffix)
        streams.write(job, _chunks(file), force)
    error = f"largest error {report.max_error:.3g}" if report.max_error else "lossless"
    grew = f" ({GREW})" if report.size > max(report.original_size, checkpoint.stat().st_size) else ""
    for note in notes_of(report, source):
        typer.echo(f"barycode: {printable(job.source_name)}: {printable(note)}", err=True)
    return (
        f"{shown_change(job, report.original_size, report.size)}, {report.ratio:.1f}x, "
        f"{report.bits_per_weight:.3f} bits per weight, {error}{grew}"
    )


def notes_of(report: "Report", source: "Source") -> list[str]:
    """What is to be told of a network that was compressed, each a sentence."""
    notes = [f"left out: {some(source.left_out)}."] if source.left_out else []
    notes += [source.note] if source.note else []
    return [*notes, *report.warnings]


def write_compressed(
    file: BinaryIO,
    checkpoint: Path,
    name: str,
    options: NetworkOptions,
    suffix: str | None = None,
) -> tuple["Report", "Source"]:
    """Write a checkpoint, which messages call `name`, into a seekable file; what is told of it."""
    from barycode.weights import DEFAULT_RULES, Keep, Lossless, Rule, compress_to
    from barycode.weights.checkpoints.files import open_source
    from barycode.weights.codec import DEFAULT_TARGET
    from barycode.weights.deltas import Difference, open_base

    target = options.target
    try:
        source = open_source(checkpoint, suffix or checkpoint.suffix.lower(), options.key)
    except BarycodeError as error:  # of standard input the path is a name that the user has never seen
        raise type(error)(str(error).replace(str(checkpoint), name)) from error
    kept = [Rule(pattern, Keep(), "asked to be kept") for pattern in options.keep]
    for rule in kept:
        if not any(map(rule.names, source.directory.entries)):
            raise InvalidInputError(f"--keep {rule.pattern!r} is the name of no tensor in {name}.")
    rules = (*kept, *DEFAULT_RULES)
    if source.left_out and isinstance(target, Lossless):
        raise InvalidInputError(
            f"{name} has more than a state dict, and --lossless would lose it "
            f"({some(source.left_out)}): save model.state_dict() by itself, or leave out --lossless."
        )
    if options.base is not None:
        source = Difference(source, open_base(options.base), isinstance(target, Lossless))
    with _workers(options.workers, source.directory.entries) as workers:
        report = compress_to(file, source, target or DEFAULT_TARGET, rules=rules, workers=workers)
    return report, source


@dataclass(frozen=True)
class Unpacking:
    """How networks are decompressed: how many bytes at most, by how many processes, with which base."""

    limit: int | None = None
    workers: int | None = None
    base: Path | None = None


def decompress(job: Job, packed: Path, force: bool, options: Unpacking) -> str:
    """Decompress into a .safetensors file or, if the target is called so, a .pt or .npz file."""
    from barycode.weights.checkpoints.arrays import write_npz
    from barycode.weights.checkpoints.files import write_pytorch, write_safetensors
    from barycode.weights.deltas import open_base, with_base
    from barycode.weights.file_format.reader import NetworkReader

    check_suffix(job.target)
    suffix = job.target.suffix.lower()
    writer = {".npz": write_npz}.get(suffix, write_pytorch if suffix in PYTORCH else write_safetensors)
    with packed.open("rb") as stream, tempfile.TemporaryFile() as file:
        entries = NetworkReader(stream, options.limit).directory.entries
        stream.seek(0)
        base = None if options.base is None else open_base(options.base)
        with _workers(options.workers, entries) as processes:
            count = writer(file, with_base(NetworkReader(stream, options.limit, processes), base))
        size = file.seek(0, os.SEEK_END)
        streams.write(job, _chunks(file), force)
    return f"{shown_change(job, packed.stat().st_size, size)}, {count} tensors"


def kind_of_archive(content: Path) -> str:
    """The suffix of a zip archive without a name: of NumPy's arrays or of PyTorch's."""
    try:
        with zipfile.ZipFile(content) as archive:
            arrays = any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return ".pt"  # whose reader says what is wrong with it
    return ".npz" if arrays else ".pt"


def refuse_foreign(job: Job) -> None:
    """Raise UnsupportedFileError for the checkpoints of other programs."""
    if (suffix := job.source.suffix.lower()) in FOREIGN:
        raise UnsupportedFileError(
            f"{job.source} is a {suffix} file, which is not read: save its tensors as .safetensors, or the "
            "state dict as .pt."
        )


def _workers(count: int | None, entries: "Sequence[Entry]") -> "Workers":
    """As many as were asked for, or as the parts of a file are worth."""
    from barycode.weights.file_format.blocks import parts_of
    from barycode.weights.workers import Workers, worthwhile

    return Workers(worthwhile(sum(1 for _ in parts_of(entries))) if count is None else count)


def check_suffix(target: Path) -> None:
    """Raise InvalidInputError for a name that says it holds something else than a network."""
    if target != STANDARD and target.suffix.lower() not in WRITTEN:
        raise InvalidInputError(
            f"{target} would hold a network: name the output {' or '.join(sorted(WRITTEN))}."
        )


def is_lossless(options: NetworkOptions) -> bool:
    """Whether every bit was asked for; PyTorch is loaded only where something was."""
    if options.target is None:
        return False
    from barycode.weights import Lossless

    return isinstance(options.target, Lossless)


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of many names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def fact(file: Path, size: int) -> str:
    """What a compressed network is, in a line."""
    from barycode.weights.deltas import Described
    from barycode.weights.file_format.number_formats import element_bytes
    from barycode.weights.file_format.reader import NetworkReader

    with file.open("rb") as stream:
        directory = NetworkReader(stream).directory
    entries, told = directory.entries, Described.of(directory.metadata)
    own = [entry for entry in entries if entry.tied_to is None]
    weights = sum(entry.size for entry in own)
    before = sum(entry.size * element_bytes(entry.dtype) for entry in own)
    base = f", the difference to the network with the SHA-256 {told.fingerprint}" if told else ""
    return (
        f"network of {len(entries)} tensors, {weights:,} weights, {shown_size(before)} before, "
        f"{8 * size / max(weights, 1):.4f} bits per weight{base}"
    )


def rows(file: Path, limit: int | None) -> Iterator[tuple[str, ...]]:
    """A row for every tensor, for HEADINGS. The whole file is decoded for it; `limit` in bytes of tensors."""
    from barycode.weights.file_format.reader import NetworkReader

    with file.open("rb") as stream:
        reader = NetworkReader(stream, limit)
        for entry, words, bits in reader.shares():
            yield (
                entry.name,
                "x".join(map(str, entry.shape)) or "scalar",
                str(entry.dtype).removeprefix("torch."),
                words,
                f"{bits:,.0f}",
                f"{bits / max(entry.size, 1):.3f}",
            )


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk
