"""Files appear whole or not at all, under one name that two writers cannot both win.

Data goes to a temporary file beside its target, reaches the disk, and takes the name in one step. The
temporary file is locked while its writer lives: what a killed run left behind is therefore known, and the
next run that writes into the folder removes it.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from barycode.errors import InvalidInputError

if sys.platform != "win32":
    import fcntl

USUAL_MODE = 0o666  # what the umask leaves of it, as for every other program
PREFIX = ".barycode-"  # of a file that is being written
_TEMPORARY = re.compile(re.escape(PREFIX) + "[0-9a-f]{16}")
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def write_atomic(
    path: str | Path, data: bytes | Iterable[bytes], force: bool = False, mode: int = USUAL_MODE
) -> None:
    """Write bytes, or chunks of bytes one after the other, to `path`: all of them or nothing.

    As `cp` would: a link is followed, a file that is replaced keeps its mode, a new one gets what the umask
    leaves of `mode`, and a pipe or device is written into. Raises InvalidInputError when `path` exists and
    `force` is not given (also where another writer was faster), when it is a link to nothing, or when there
    is no such folder.
    """
    chunks = [data] if isinstance(data, bytes) else data
    target = checked_target(path, force)
    if _is_special(target):
        with target.open("wb") as file:
            file.writelines(chunks)
        return
    with replacing(target, force, mode) as temporary, temporary.open("r+b") as file:
        file.writelines(chunks)


@contextlib.contextmanager
def replacing(path: str | Path, force: bool = False, mode: int = USUAL_MODE) -> Iterator[Path]:
    """An empty temporary file beside `path` that takes its name when the block succeeds; see write_atomic."""
    target = checked_target(path, force)
    remove_leftovers(target.parent.absolute())
    with _locked_file(target.parent, mode) as temporary:
        yield temporary
        _set_mode(temporary, target, mode)
        _sync(temporary, os.O_RDWR)
        _take_name(temporary, target, force)
        with contextlib.suppress(OSError):  # not every system opens folders
            _sync(target.parent, os.O_RDONLY)  # the name reaches the disk as well


def checked_target(path: str | Path, force: bool = False) -> Path:
    """Where writing to `path` leads, links followed; InvalidInputError where it may not be written."""
    target = Path(path)
    if target.is_symlink():
        if not target.exists():
            raise InvalidInputError(f"{target} is a link to nothing: remove it, or name another file.")
        target = target.resolve()
    if target.is_dir():
        raise InvalidInputError(f"{target} is a folder: give the name of a file in it.")
    if not target.parent.is_dir():
        raise InvalidInputError(
            f"The folder {target.parent} does not exist: create it before writing {target.name}."
        )
    if target.exists() and not force and not _is_special(target):
        raise _taken(target)
    return target


@lru_cache(maxsize=64)
def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed; looks once at every folder."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        for path in [Path(entry.path) for entry in os.scandir(folder) if _TEMPORARY.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):  # it is locked, gone, or somebody else's
                _remove_if_unlocked(path)


def _remove_if_unlocked(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked_file(folder: Path, mode: int) -> Iterator[Path]:
    """A new file that is locked, and removed in the end if it still has its name."""
    path, lock = _new_file(folder, mode)
    while lock is not None and not os.fstat(lock).st_nlink:  # taken for a leftover before it was locked
        os.close(lock)
        path, lock = _new_file(folder, mode)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def _new_file(folder: Path, mode: int) -> tuple[Path, int | None]:
    """A new file, and the descriptor that locks it; None where an open file cannot be renamed."""
    path = folder / f"{PREFIX}{secrets.token_hex(8)}"
    own = stat.S_IRUSR | stat.S_IWUSR
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, own | mode & USUAL_MODE)
    if sys.platform == "win32":
        os.close(descriptor)
        return path, None
    with contextlib.suppress(OSError):  # a file system without locks: its leftovers stay
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return path, descriptor


def _set_mode(temporary: Path, target: Path, mode: int) -> None:
    """That of the file it replaces; else `mode`, as far as the umask left it."""
    kept = target.stat().st_mode if target.exists() else temporary.stat().st_mode & mode
    temporary.chmod(stat.S_IMODE(kept))


def _take_name(temporary: Path, target: Path, force: bool) -> None:
    if force:
        temporary.replace(target)
        return
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _take_name_without_links(temporary, target)


def _take_name_without_links(temporary: Path, target: Path) -> None:
    try:
        target.touch(exist_ok=False)  # the name is ours, or somebody else's
    except FileExistsError:
        raise _taken(target) from None
    temporary.replace(target)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_special(target: Path) -> bool:
    """A pipe, device or socket: there is no name to take."""
    return target.exists() and not target.is_file()


def _taken(target: Path) -> InvalidInputError:
    return InvalidInputError(f"{target} exists already: pass force (--force) to replace it.")
