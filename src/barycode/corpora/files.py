"""Plain files as samples of one part each."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from barycode.corpora.portions import Portion
from barycode.corpora.samples import Part, Sample


def cut_files(stamps: dict[str, str], count: int) -> Iterator[Portion]:
    """Portions of `count` files, in their order."""
    paths = list(stamps)
    root = _root(paths)
    for start in range(0, len(paths), count):
        some = tuple(paths[start : start + count])
        yield Portion("files", some, tuple(stamps[path] for path in some), root)


def read_files(portion: Portion) -> Iterator[Sample]:
    """Keys are paths below the root without suffix; dots would end them, and no two are the same."""
    taken: set[str] = set()
    for text in portion.paths:
        path = PurePath(text)
        inside = path.relative_to(portion.root)
        key = inside.with_name(inside.stem.replace(".", "_")).as_posix()
        if key in taken:
            key = f"{key}-{inside.suffix.removeprefix('.')}"
        while key in taken:
            key += "_"
        taken.add(key)
        yield Sample(key, text, (Part(path.suffix, Path(text)),))


def _root(paths: Sequence[str]) -> str:
    folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120 (millions of them)
    return os.path.commonpath(folders) if folders else ""
