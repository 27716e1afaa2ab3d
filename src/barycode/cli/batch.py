"""Many files in one command: which ones, where to, and what happens when one of them is bad."""

import glob
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from barycode.cli.program import tell
from barycode.cli.text import printable
from barycode.errors import InvalidInputError, MissingDataError


@dataclass(frozen=True)
class Job:
    """One file in, one file out."""

    source: Path
    target: Path


def plan(inputs: Sequence[str], output: Path | None, suffixes: frozenset[str], suffix: str) -> list[Job]:
    """What to turn into what.

    inputs: files, glob patterns, and folders (all files below them with one of `suffixes`). Targets are named
    like their sources with `suffix`: beside them, or below the folder `output` as they lay below their input
    folder. With a single input file, `output` may be the target itself.
    """
    found = [(source, root) for text in inputs for source, root in _expand(text, suffixes)]
    if output is not None and len(found) == 1 and output.suffix and not output.is_dir():
        return [Job(found[0][0], output)]
    jobs = [
        Job(source, (output / source.relative_to(root) if output else source).with_suffix(suffix))
        for source, root in found
    ]
    _refuse_collisions(jobs)
    return jobs


def _expand(text: str, suffixes: frozenset[str]) -> list[tuple[Path, Path]]:
    path = Path(text)
    if path.is_dir():
        inside = (
            file for file in sorted(path.rglob("*")) if file.is_file() and file.suffix.lower() in suffixes
        )
        return _found(
            ((file, path) for file in inside),
            f"{path} holds no files that end in {', '.join(sorted(suffixes))}.",
        )
    if path.exists():
        return [(path, path.parent)]
    matches = map(Path, sorted(glob.glob(text, recursive=True)))  # noqa: PTH207 (Path.glob takes no absolute pattern)
    return _found(((match, match.parent) for match in matches if match.is_file()), f"{text} does not exist.")


def _found(files: Iterable[tuple[Path, Path]], otherwise: str) -> list[tuple[Path, Path]]:
    found = list(files)
    if not found:
        raise MissingDataError(otherwise)
    return found


def _refuse_collisions(jobs: Iterable[Job]) -> None:
    sources: dict[Path, Path] = {}
    for job in jobs:
        other = sources.setdefault(job.target, job.source)
        if other != job.source:
            raise InvalidInputError(
                f"{other} and {job.source} would both become {job.target}; rename one of them."
            )


def run_jobs(jobs: Sequence[Job], act: Callable[[Job], str]) -> None:
    """Run `act` on every job and print the line it returns; a bad file does not stop the others.

    Raises the error of a single job; with several, each failure is told on stderr and the exit code is 1.
    """
    if len(jobs) == 1:
        typer.echo(printable(act(jobs[0])))
        return
    failures = 0
    with progress_bar() as progress:
        task = progress.add_task("", total=len(jobs))
        for job in jobs:
            progress.update(task, description=escape(printable(job.source.name)))
            try:
                progress.console.out(printable(act(job)), highlight=False)
            except Exception as error:
                failures += 1
                tell(error, f"barycode: {printable(job.source)}: ")
            progress.advance(task)
    typer.echo(f"{len(jobs) - failures} of {len(jobs)} files done.")
    if failures:
        raise typer.Exit(1)


def refuse_existing(target: Path, force: bool) -> None:
    """Stop before the work is done, not after, when the target is there already."""
    if target.exists() and not force:
        raise InvalidInputError(
            f"{target} exists already; pass --force to replace it, or choose another --output."
        )


def write(target: Path, data: bytes, force: bool) -> None:
    """Write a whole file or nothing, making the folders it needs."""
    from barycode.container import write_atomic

    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, data, force=force)


def progress_bar() -> Progress:
    """The one progress bar of all commands, on stderr so that output can be piped."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
