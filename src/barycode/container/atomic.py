"""Files appear whole or not at all."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from barycode.errors import InvalidInputError


def write_atomic(path: str | Path, data: bytes | Iterable[bytes], force: bool = False) -> None:
    """Write bytes, or chunks of bytes one after the other, to `path`: all of them or nothing.

    They go to a temporary file beside it, reach the disk, and take the name in one step. Raises
    InvalidInputError when `path` exists and `force` is not given, or when there is no such folder.
    """
    target = Path(path)
    _refuse(target, force)
    temporary = target.with_name(f".barycode-{secrets.token_hex(8)}")
    try:
        _write(temporary, [data] if isinstance(data, bytes) else data)
        _refuse(target, force)  # it may have appeared while the chunks were computed
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _refuse(target: Path, force: bool) -> None:
    if target.is_dir():
        raise InvalidInputError(f"{target} is a folder: give the name of a file in it.")
    if not target.parent.is_dir():
        raise InvalidInputError(
            f"The folder {target.parent} does not exist: create it before writing {target.name}."
        )
    if target.exists() and not force:
        raise InvalidInputError(f"{target} exists already: pass force (--force) to replace it.")


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
