"""Result rows in one JSON file that several processes fill, and locks so that no two do the same work."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from barycode.container import write_atomic
from barycode.errors import CorruptFileError

Row = dict[str, Any]


@dataclass(frozen=True)
class ResultsFile:
    """A JSON list of rows, each with a unique "name". Locks are POSIX ones, which die with a process."""

    path: Path

    def rows(self) -> dict[str, Row]:
        """All rows by name, in the order in which they came."""
        if not self.path.exists():
            return {}
        try:
            return {row["name"]: row for row in json.loads(self.path.read_text())}
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptFileError(f"{self.path} is not a list of result rows ({error}).") from error

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row, in place of the one of that name."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with try_lock(self.path.with_suffix(".lock"), wait=True):
            rows = {**self.rows(), row["name"]: dict(row)}
            lines = ",\n".join(json.dumps(row) for row in rows.values())
            write_atomic(self.path, f"[\n{lines}\n]\n".encode(), force=True)


@contextmanager
def try_lock(lock: Path, wait: bool = False) -> Iterator[bool]:
    """Whether this process has the work that `lock` stands for, while the context lasts."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
