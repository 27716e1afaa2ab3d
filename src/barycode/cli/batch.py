"""Many files in one command: a bad one does not stop the others."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from barycode.cli.jobs import STANDARD, Job
from barycode.cli.program import tell
from barycode.cli.streams import AlreadyDoneError
from barycode.cli.text import printable
from barycode.errors import InvalidInputError
from barycode.progress import listening


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
        with _within_the_file(progress):
            line = printable(act(job))
    except AlreadyDoneError:
        if progress is None:
            typer.echo(printable(f"{job.target} is there already: skipped"))
        return "skipped"
    except Exception as error:
        if isinstance(error, BrokenPipeError) and job.target == STANDARD:
            raise  # nobody reads any more: the program ends, as in `| head`
        named = job.source_name in str(error)
        tell(error, "barycode: " if named else f"barycode: {printable(job.source_name)}: ")
        return "failed"
    if progress is not None:
        progress.console.out(line, highlight=False)
    else:
        typer.echo(line, err=job.target == STANDARD)
    return "done"


@contextmanager
def _within_the_file(files: Progress | None) -> Iterator[None]:
    """A bar for the steps that the codec tells of, where it has several: below that of the files, or alone
    on a terminal.
    """
    bar = files or progress_bar(alone=True)
    tasks: list[TaskID] = []

    def tell(what: str, done: int, count: int) -> None:
        if not tasks and count > 1 and (files or bar.console.is_terminal):
            bar.start()
            tasks.append(bar.add_task(what))
        for task in tasks:
            bar.update(task, description=what, completed=done, total=count)

    try:
        with listening(tell):
            yield
    finally:
        for task in tasks:
            bar.remove_task(task)
        if tasks and files is None:
            bar.stop()


def progress_bar(alone: bool = False) -> Progress:
    """The one progress bar of all commands, on stderr so that output can be piped; `alone` where nothing is
    printed while it is shown.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=not alone,
        redirect_stderr=not alone,
    )
