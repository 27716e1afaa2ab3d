"""Files, pipes and standard streams, in and out, as the commands use them."""

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from barycode.cli.jobs import STANDARD, Job
from barycode.errors import InvalidInputError

NAMES_OF_OPEN_FILES = Path("/proc/self/fd")  # of Linux


class AlreadyDoneError(Exception):
    """The target is there, and --skip-existing says to leave it."""


@contextmanager
def seekable(path: Path) -> Iterator[Path]:
    """A regular file with the content of `path`: itself, or a copy of standard input or of a pipe."""
    if path != STANDARD and (path.is_file() or path.is_dir()):
        yield path
        return
    with _nameless_file() as (file, copy):
        if path == STANDARD:
            shutil.copyfileobj(sys.stdin.buffer, file)
        else:
            with path.open("rb") as stream:
                shutil.copyfileobj(stream, file)
        file.flush()
        yield copy


@contextmanager
def _nameless_file() -> Iterator[tuple[BinaryIO, Path]]:
    """A temporary file and where to open it again; where the system can, nothing is left of it when its
    process is killed.
    """
    if NAMES_OF_OPEN_FILES.is_dir():
        with tempfile.TemporaryFile() as file:
            yield file, NAMES_OF_OPEN_FILES / str(file.fileno())
    else:
        with tempfile.TemporaryDirectory(prefix="barycode-") as folder:
            path = Path(folder) / "standard-input"
            with path.open("wb") as file:
                yield file, path


def check_target(job: Job, force: bool, skip_existing: bool = False) -> None:
    """Stop before the work is done, not after, where the target may not be written; what a killed run left
    beside it goes, even if nothing is written.
    """
    if job.target == STANDARD:
        if sys.stdout is None:
            raise InvalidInputError("Standard output is closed: send it into a file or a program.")
        if sys.stdout.isatty():
            raise InvalidInputError("Standard output is a terminal: send it into a file or a program.")
        return
    from barycode.container.atomic import checked_target, remove_leftovers

    remove_leftovers(job.target.parent.absolute())
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
        checked_target(job.target, force)


def write(job: Job, data: bytes | Iterable[bytes], force: bool) -> None:
    """Write a whole target or nothing, as private as its source, making the folders it needs."""
    if job.target == STANDARD:
        sys.stdout.buffer.writelines([data] if isinstance(data, bytes) else data)
        sys.stdout.buffer.flush()  # here, where it is known what could not be written
        return
    from barycode.container import write_atomic
    from barycode.container.atomic import USUAL_MODE

    job.target.parent.mkdir(parents=True, exist_ok=True)
    regular = job.source != STANDARD and job.source.is_file()
    mode = stat.S_IMODE(job.source.stat().st_mode) if regular else USUAL_MODE
    try:
        write_atomic(job.target, data, force=force, mode=mode)
    except OSError as error:
        if error.errno is None:
            raise
        # A full disk names no file, and others a temporary one.
        raise OSError(error.errno, error.strerror, str(job.target)) from error


def with_suffix(job: Job, suffix: str) -> Job:
    """The job with its target's suffix changed, where it goes to a file."""
    return job if job.target == STANDARD else replace(job, target=job.target.with_suffix(suffix))
