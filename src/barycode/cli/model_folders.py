"""Model folders as Hugging Face has them: the weights become model.bary, the small files come along."""

import filecmp
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from barycode.cli import networks, streams
from barycode.cli.jobs import COMPRESSED, STANDARD_NAMES, Job
from barycode.cli.text import printable
from barycode.container import write_atomic
from barycode.container.atomic import PREFIX, remove_leftovers
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
SAME_AGAIN = re.compile(r"(model|(pytorch|tf|flax)_model)(-\d+-of-\d+)?\.[\w.]+")  # the weights, otherwise
CHUNK = 2**20


def folder_of(inputs: Sequence[str], packed: bool) -> Path | None:
    """The one folder among the inputs, if it is that of a model, compressed or not."""
    folder = Path(inputs[0])
    if len(inputs) != 1 or not inputs[0] or not (folder / CONFIG).is_file():
        return None
    return folder if any((folder / name).is_file() for name in ([PACKED] if packed else WEIGHTS)) else None


def job_of(folder: Path, output: Path | None, packed: bool) -> Job:
    """From folder to folder: `<name>-bary` beside it, or `<name>` of that, where `output` is None."""
    if output in STANDARD_NAMES:
        raise InvalidInputError(f"{folder} becomes a folder, and standard output is none: name one.")
    name = folder.resolve().name
    if not packed:
        name += ENDING
    else:
        name = name.removesuffix(ENDING) if name.endswith(ENDING) else f"{name}-model"
    return Job(folder, folder.resolve().parent / name if output is None else output)


def compress(
    folder: Path, target: Path, options: networks.NetworkOptions, force: bool, skip_existing: bool = False
) -> str:
    """Fill the folder `target` with model.bary and the small files; the line to print."""
    weights = next(folder / name for name in WEIGHTS if (folder / name).is_file())
    _tell_left_out(folder, weights, options)
    with _filled(folder, target, PACKED, force, skip_existing):
        job = Job(weights, target / PACKED)
        streams.check_target(job, force, False)
        return networks.compress(job, weights, weights.suffix, options, force)


def decompress(
    folder: Path, target: Path, options: networks.Unpacking, force: bool, skip_existing: bool = False
) -> str:
    """Fill the folder `target` with model.safetensors and the small files; the line to print."""
    with _filled(folder, target, UNPACKED, force, skip_existing):
        job = Job(folder / PACKED, target / UNPACKED)
        streams.check_target(job, force, False)
        return networks.decompress(job, folder / PACKED, force, options)


@contextmanager
def _filled(folder: Path, target: Path, last: str, force: bool, skip_existing: bool) -> Iterator[None]:
    """A target folder with the small files in it. Its file `last` comes after them: without that it is one
    that a killed run has left, and is gone on with. Nothing is left of one that cannot be finished.
    """
    if target.resolve() == folder.resolve():
        raise InvalidInputError(f"{target} is the folder itself: name another with --output.")
    if folder.resolve() in target.resolve().parents:
        raise InvalidInputError(f"{target} is inside {folder}: name a folder elsewhere with --output.")
    for place in {target, *(copy.parent for _, copy in _copies(folder, target))}:
        remove_leftovers(place.absolute())
    if skip_existing and (target / last).is_file():
        raise streams.AlreadyDoneError
    made = not target.exists()
    if not made and not (target.is_dir() and (force or _is_unfinished(folder, target))):
        raise InvalidInputError(f"{target} exists already: name another with --output, or pass --force.")
    try:
        target.mkdir(parents=True, exist_ok=not made)
        for source, copy in _copies(folder, target):
            copy.parent.mkdir(parents=True, exist_ok=True)
            if force or not _is_copy(copy, source):
                write_atomic(copy, _chunks(source), force)
                shutil.copymode(source, copy)
        yield
    except BaseException:
        if made:
            shutil.rmtree(target, ignore_errors=True)
        raise


def _is_unfinished(folder: Path, target: Path) -> bool:
    """Whether all that is there are copies from the folder, and what a killed writer leaves."""
    there = [file for file in target.rglob("*") if not file.is_dir() and not file.name.startswith(PREFIX)]
    return all(_is_copy(file, folder / file.relative_to(target)) for file in there)


def _is_copy(file: Path, source: Path) -> bool:
    return file.is_file() and source.is_file() and filecmp.cmp(file, source, shallow=False)


def _copies(folder: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """All files but weights and what is hidden, and where they go; links are followed, as the hub's cache has
    them.
    """
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and not _is_weights(Path(root) / name):
                source = Path(root) / name
                yield source, target / source.relative_to(folder)


def _tell_left_out(folder: Path, weights: Path, options: networks.NetworkOptions) -> None:
    """Say which files stay behind; InvalidInputError under --lossless where they hold anything else than the
    same weights in another form.
    """
    kept = {weights.name, *_shards(weights)}
    names = [
        str(file.relative_to(folder))
        for file in sorted(folder.rglob("*"))
        if _is_weights(file) and file.is_file() and str(file.relative_to(folder)) not in kept
    ]
    others = [name for name in names if not SAME_AGAIN.fullmatch(name)]
    if others and networks.is_lossless(options):
        raise InvalidInputError(
            f"{folder} has more than {weights.name}, and --lossless would lose it ({networks.some(others)}): "
            "compress or copy it by itself first, or leave out --lossless."
        )
    if names:
        note = f"left out: {networks.some(names)}."
        typer.echo(f"barycode: {printable(folder)}: {printable(note)}", err=True)


def _shards(weights: Path) -> set[str]:
    """The files that an index names, as far as it can be read: its reader says what is wrong with it."""
    try:
        return set(map(str, json.loads(weights.read_text())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def _is_weights(file: Path) -> bool:
    return file.suffix.lower() in NOT_SMALL or file.name.endswith(".index.json")


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
