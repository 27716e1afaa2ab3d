"""Model folders as Hugging Face has them: the weights become model.bary, the small files come along."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from barycode.cli import networks, streams
from barycode.cli.jobs import COMPRESSED, Job
from barycode.container import write_atomic
from barycode.errors import InvalidInputError

CONFIG = "config.json"
PACKED = f"model{COMPRESSED}"
WEIGHTS = (
    *("model.safetensors.index.json", "model.safetensors"),
    *("pytorch_model.bin.index.json", "pytorch_model.bin"),
)
UNPACKED = "model.safetensors"
ENDING = "-bary"
NOT_SMALL = networks.SUFFIXES - {".json"} | networks.FOREIGN | {COMPRESSED}
CHUNK = 2**20


def folder_of(inputs: Sequence[str], packed: bool) -> Path | None:
    """The one folder among the inputs, if it is that of a model, compressed or not."""
    folder = Path(inputs[0])
    if len(inputs) != 1 or not inputs[0] or not (folder / CONFIG).is_file():
        return None
    return folder if any((folder / name).is_file() for name in ([PACKED] if packed else WEIGHTS)) else None


def job_of(folder: Path, output: Path | None, packed: bool) -> Job:
    """From folder to folder: `<name>-bary` beside it, or `<name>` of that, where `output` is None."""
    name = folder.resolve().name
    if not packed:
        name += ENDING
    else:
        name = name.removesuffix(ENDING) if name.endswith(ENDING) else f"{name}-model"
    return Job(folder, folder.resolve().parent / name if output is None else output)


def compress(folder: Path, target: Path, options: networks.NetworkOptions, force: bool) -> str:
    """Fill the folder `target` with model.bary and the small files; the line to print."""
    _make(folder, target, force)
    weights = next(folder / name for name in WEIGHTS if (folder / name).is_file())
    job = Job(weights, target / PACKED)
    streams.check_target(job, force, False)
    _copy_small(folder, target, force)
    return networks.compress(job, weights, weights.suffix, options, force)


def decompress(folder: Path, target: Path, force: bool, options: networks.Unpacking) -> str:
    """Fill the folder `target` with model.safetensors and the small files; the line to print."""
    _make(folder, target, force)
    job = Job(folder / PACKED, target / UNPACKED)
    streams.check_target(job, force, False)
    _copy_small(folder, target, force)
    return networks.decompress(job, folder / PACKED, force, options)


def _make(folder: Path, target: Path, force: bool) -> None:
    if target.resolve() == folder.resolve():
        raise InvalidInputError(f"{target} is the folder itself: name another with --output.")
    if target.exists() and not (force and target.is_dir()):
        raise InvalidInputError(f"{target} exists already: name another with --output, or pass --force.")
    if folder.resolve() in target.resolve().parents:
        raise InvalidInputError(f"{target} is inside {folder}: name a folder elsewhere with --output.")
    target.mkdir(parents=True, exist_ok=True)


def _copy_small(folder: Path, target: Path, force: bool) -> None:
    """Copy all but weights and what is hidden; links are followed, as the hub's cache has them."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            source = Path(root) / name
            if name.startswith(".") or _is_weights(source):
                continue
            copy = target / source.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(copy, _chunks(source), force)
            shutil.copymode(source, copy)


def _is_weights(file: Path) -> bool:
    return file.suffix.lower() in NOT_SMALL or file.name.endswith(".index.json")


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
