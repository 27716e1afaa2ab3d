"""Which files a command works on, and where the results go; decided, and refused, before any work."""

import glob
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from barycode.cli.text import printable, shown_suffixes
from barycode.errors import InvalidInputError, MissingDataError

STANDARD = Path("-")  # standard input as a source, standard output as a target
STANDARD_NAMES = {Path(p) for p in ("-", "/dev/stdout", "/dev/stdin", "/dev/fd/1", "/proc/self/fd/1")}
COMPRESSED = ".bary"


@dataclass(frozen=True)
class Job:
    """One file in, one file out; `refusal` says why it cannot be."""

    source: Path
    target: Path
    refusal: str = ""

    @property
    def source_name(self) -> str:
        return "standard input" if self.source == STANDARD else str(self.source)

    @property
    def target_name(self) -> str:
        return "standard output" if self.target == STANDARD else str(self.target)


@dataclass(frozen=True)
class Kinds:
    """What a command takes from folders (`what`, with `suffixes`, asked only then) and what its results are
    called (`suffix`); names of files of any kind, for an output that cannot be a folder.
    """

    what: str
    suffixes: Callable[[], frozenset[str]]
    suffix: str
    files: frozenset[str]


def require_there(*paths: Path | None) -> None:
    """Raise MissingDataError for a path that leads nowhere, before anything that loads PyTorch."""
    for path in paths:
        if path is not None and not path.exists():
            raise MissingDataError(f"{path} does not exist.")


def named_model(model: str | None) -> Path | None:
    """The file that --model names, if it is no shipped model."""
    return Path(model) if model is not None and model.endswith(".safetensors") else None


def plan(inputs: Sequence[str], output: Path | None, kinds: Kinds) -> list[Job]:
    """What to turn into what.

    inputs: files, glob patterns, "-", and folders (all files below them of the command's kinds). Targets are
    named like their sources, beside them, or below the folder `output` as they lay below their input folder.
    With a single input file, `output` may be the target itself, or "-".
    """
    if not all(inputs):
        raise MissingDataError("An input has an empty name: name a file or a folder (. for this one).")
    if "-" in inputs and len(inputs) > 1:
        raise InvalidInputError("Standard input (-) comes alone, not with other inputs.")
    found = [(source, root) for text in inputs for source, root in _expand(text, kinds)]
    if output is not None and _names_a_file(output, len(found) == 1 and not Path(inputs[0]).is_dir(), kinds):
        return [Job(found[0][0], STANDARD if output in STANDARD_NAMES else output)]
    if output is not None and found[0][0] == STANDARD:
        raise InvalidInputError(f"Standard input has no name to have in the folder {output}: name a file.")
    jobs = [
        Job(source, _renamed(_below(source, root, output), kinds.suffix))
        if source != STANDARD
        else Job(source, STANDARD)
        for source, root in found
    ]
    return list(_refuse_clashes(dict.fromkeys(jobs)))


def _below(source: Path, root: Path, output: Path | None) -> Path:
    return output / source.relative_to(root) if output else source


def _renamed(path: Path, suffix: str) -> Path:
    """With another suffix; the index of a sharded checkpoint has three of them."""
    return path.with_name(re.sub(r"\.\w+\.index\.json$", ".json", path.name)).with_suffix(suffix)


def _names_a_file(output: Path, single: bool, kinds: Kinds) -> bool:
    """Whether the output is a file's name, and not a folder's; InvalidInputError if it cannot be either."""
    standard = output in STANDARD_NAMES  # a folder of that name, too
    if output.is_dir() and not standard:
        return False
    special = standard or output.exists()
    if not special and not {output.suffix.lower(), output.name.lower()} & kinds.files:
        return single and bool(output.suffix)
    if not single:
        raise InvalidInputError(
            f"--output {output} is one file, and there are several or a folder to take in: name a folder."
        )
    return True


def _expand(text: str, kinds: Kinds) -> list[tuple[Path, Path]]:
    path = Path(text)
    if text == "-":
        return [(STANDARD, STANDARD)]
    if path.is_dir():
        return _inside(path, kinds)
    if path.exists():
        return [(path, path.parent)]
    if path.is_symlink():
        raise MissingDataError(f"{path} is a link to nothing.")
    matches = map(Path, sorted(glob.glob(text, recursive=True)))  # noqa: PTH207 (Path.glob takes no absolute pattern)
    found = [(match, match.parent) for match in matches if match.is_file()]
    if not found:
        raise MissingDataError(f"{text} does not exist.")
    return found


def _inside(folder: Path, kinds: Kinds) -> list[tuple[Path, Path]]:
    """The files below a folder that are of the command's kinds; how many others there are is told."""
    suffixes = kinds.suffixes()
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    found = [(file, folder) for file in files if file.suffix.lower() in suffixes]
    counts = Counter(f.suffix.lower() for f in files if f.suffix.lower() not in {*suffixes, COMPRESSED})
    others = shown_suffixes(counts)
    if not found:
        instead = f", only {others}: name files of other kinds one by one" if others else ""
        raise MissingDataError(f"{folder} holds no {kinds.what}{instead}.")
    if others and COMPRESSED not in suffixes:
        typer.echo(printable(f"{folder}: left alone what is no picture: {others}"), err=True)
    return found


def _refuse_clashes(jobs: Iterable[Job]) -> Iterator[Job]:
    """The first of several that would become the same file goes on."""
    first: dict[str, Path] = {}
    for job in jobs:
        other = first.setdefault(_name(job.target), job.source)
        if other == job.source:
            yield job
        else:
            clash = f"{other} and {job.source} would both become {job.target}; rename one of them."
            yield replace(job, refusal=clash)


def _name(path: Path) -> str:
    """What the file system takes for the same name, where it looks past capitals."""
    if sys.platform in {"win32", "darwin"}:
        return unicodedata.normalize("NFC", str(path)).casefold()
    return str(path)
