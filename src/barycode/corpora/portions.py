"""Portions: what one worker does at a time, and what one shard comes of."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["files", "tar", "table"]


@dataclass(frozen=True)
class Portion:
    """Files, samples `first` to `last` of a tar, or row groups `first` to `last` of a Parquet file.

    paths are absolute; stamps tell the version of each. Keys of files and tables are relative to `root`;
    `column` holds the files of a table. `last` is exclusive; None for all.
    """

    kind: Kind
    paths: tuple[str, ...]
    stamps: tuple[str, ...]
    root: str = ""
    first: int = 0
    last: int | None = None
    column: str = ""

    def to_json(self) -> dict[str, Any]:
        """Its fields, as `from_json` takes them."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Portion":
        """What `to_json` gave; raises TypeError or KeyError for anything else."""
        return cls(**{**value, "paths": tuple(value["paths"]), "stamps": tuple(value["stamps"])})


def common_folder(paths: Iterable[str]) -> str:
    """The folder that all of them are below; "" of none."""
    folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120 (millions of them)
    return os.path.commonpath(folders) if folders else ""


def stamp(path: str) -> str:
    """The version of a file: its size and when it was changed last; "missing" where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 (millions of them)
    except OSError:
        return "missing"
    return f"{found.st_size}-{found.st_mtime_ns}"
