"""Many files in one command: a bad one does not stop the others."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from barycode.cli.jobs import STANDARD, Job
from barycode.cli.program import tell
from barycode.cli.streams import AlreadyDoneError
from barycode.cli.text import printable
from barycode.errors import InvalidInputError


def run_jobs(jobs: Sequence[Job], act: Callable[[Job], str]) -> None:
    """Run `act` on every job and print the line it returns; each failure is a line on stderr that names the
    file, and the exit code is then 1.
    """
    results: Counter[str] = Counter()
    several = len(jobs) > 1
    with progress_bar() if several else nullcontext() as progress:
        task = progress.add_task("", total=len(jobs)) if progress else None
        try:
            for job in jobs:
                if progress and task is not None:
                    progress.update(task, description=escape(printable(job.source.name)))
                results[_run(job, act, progress)] += 1
                if progress and task is not None:
                    progress.advance(task)
        except KeyboardInterrupt:
            if several:
                typer.echo(f"{results['done']} of {len(jobs)} files done.", err=True)
            raise
    if several:
        skipped = f", {results['skipped']} were there already" if results["skipped"] else ""
        typer.echo(f"{results['done']} of {len(jobs)} files done{skipped}.")
    if results["failed"]:
        raise typer.Exit(1)


def _run(job: Job, act: Callable[[Job], str], progress: Progress | None) -> str:
    try:
        if job.refusal:
            raise InvalidInputError(job.refusal)
        line = printable(act(job))
    except AlreadyDoneError:
        if progress is None:
            typer.echo(printable(f"{job.target} is there already: skipped"))
        return "skipped"
    except Exception as error:
        tell(error, "barycode: " if str(job.source) in str(error) else f"barycode: {printable(job.source)}: ")
        return "failed"
    if progress is not None:
        progress.console.out(line, highlight=False)
    else:
        typer.echo(line, err=job.target == STANDARD)
    return "done"


def progress_bar() -> Progress:
    """The one progress bar of all commands, on stderr so that output can be piped."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
