"""WebDataset shards: tars in which the files of a sample follow each other under one key."""

import tarfile
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path

from barycode.corpora.portions import Portion
from barycode.corpora.samples import Part, Sample, split_name
from barycode.errors import CorruptFileError


def cut_tar(path: str, stamp: str, count: int | None) -> Iterator[Portion]:
    """Portions of `count` samples; without a count, or where it is damaged, the whole tar."""
    try:
        total = sum(1 for _ in _members(path)) if count else 0
    except (CorruptFileError, OSError):
        total = 0  # what is wrong is told by those who read it
    if not count or not total:
        yield Portion("tar", (path,), (stamp,))
        return
    for start in range(0, total, count):
        yield Portion("tar", (path,), (stamp,), first=start, last=min(start + count, total))


def read_tar(portion: Portion) -> Iterator[Sample]:
    path = Path(portion.paths[0])
    with path.open("rb") as file:
        for key, members in islice(_members(str(path)), portion.first, portion.last):
            parts = []
            for member in members:
                file.seek(member.offset_data)
                parts.append(Part(split_name(member.name)[1], file.read(member.size)))
            yield Sample(key, f"{key} in {path}", tuple(parts))


def _members(path: str) -> Iterator[tuple[str, list[tarfile.TarInfo]]]:
    """(key, its files) in order; only headers are read."""
    try:
        with tarfile.open(path, "r:") as tar:
            files = (member for member in tar if member.isfile())
            for key, members in groupby(files, lambda member: split_name(member.name)[0]):
                yield key, list(members)
    except tarfile.TarError as error:
        raise CorruptFileError(f"{path} is not an uncompressed tar, or ends early ({error}).") from error
