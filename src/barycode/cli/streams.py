"""Files, pipes and standard streams, in and out, as the commands use them."""

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from barycode.cli.jobs import STANDARD, Job
from barycode.errors import InvalidInputError


class AlreadyDoneError(Exception):
    """The target is there, and --skip-existing says to leave it."""


@contextmanager
def seekable(path: Path) -> Iterator[Path]:
    """A regular file with the content of `path`: itself, or a copy of standard input or of a pipe."""
    if path != STANDARD and (path.is_file() or path.is_dir()):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="barycode-") as folder:
        copy = Path(folder) / "standard-input"
        with copy.open("wb") as file:
            if path == STANDARD:
                shutil.copyfileobj(sys.stdin.buffer, file)
            else:
                with path.open("rb") as stream:
                    shutil.copyfileobj(stream, file)
        yield copy


def check_target(job: Job, force: bool, skip_existing: bool = False) -> None:
    """Stop before the work is done, not after, where the target may not be written."""
    if job.target == STANDARD:
        if sys.stdout.isatty():
            raise InvalidInputError("Standard output is a terminal: send it into a file or a program.")
        return
    if job.target.is_file() and job.source != STANDARD and job.target.samefile(job.source):
        raise InvalidInputError(f"{job.target} is the file that is read: choose another --output.")
    if job.target.is_file() and skip_existing:
        raise AlreadyDoneError
    if job.target.is_file() and not force:
        raise InvalidInputError(
            f"{job.target} exists already; pass --force to replace it, --skip-existing to leave it, or "
            "choose another --output."
        )
    if job.target.parent.is_dir():
        from barycode.container.atomic import checked_target

        checked_target(job.target, force)


def write(job: Job, data: bytes | Iterable[bytes], force: bool) -> int:
    """Write a whole target or nothing, as private as its source, making the folders it needs; its bytes."""
    if job.target == STANDARD:
        return sum(map(sys.stdout.buffer.write, [data] if isinstance(data, bytes) else data))
    from barycode.container import write_atomic
    from barycode.container.atomic import USUAL_MODE

    job.target.parent.mkdir(parents=True, exist_ok=True)
    regular = job.source != STANDARD and job.source.is_file()
    mode = stat.S_IMODE(job.source.stat().st_mode) if regular else USUAL_MODE
    write_atomic(job.target, data, force=force, mode=mode)
    return job.target.stat().st_size


def with_suffix(job: Job, suffix: str) -> Job:
    """The job with its target's suffix changed, where it goes to a file."""
    return job if job.target == STANDARD else replace(job, target=job.target.with_suffix(suffix))
