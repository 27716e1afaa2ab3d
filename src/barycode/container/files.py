"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from barycode.errors import InvalidInputError


def write_atomic(path: Path, data: bytes | Iterable[bytes], *, force: bool = False) -> None:
    """Write bytes, or chunks of them, to a temporary file beside `path` and rename it: `path` is complete or untouched.

    Raises InvalidInputError if `path` exists and `force` is not given.
    """
    if path.exists() and not force:
        raise InvalidInputError(f"{path} exists: pass --force (force=True) to replace it.")
    chunks = [data] if isinstance(data, bytes | bytearray | memoryview) else data
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
