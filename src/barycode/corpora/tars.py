"""WebDataset shards: tars in which the files of a sample follow each other under one key."""

import tarfile
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO

from barycode.corpora.portions import Portion
from barycode.corpora.samples import Part, Sample, split_name
from barycode.errors import BarycodeError, CorruptFileError


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
            fault = _fault(members)
            parts = [] if fault else [_part(file, member) for member in members]
            yield Sample(key, f"{key} in {path}", tuple(parts), fault)


def _part(file: BinaryIO, member: tarfile.TarInfo) -> Part:
    file.seek(member.offset_data)
    return Part(split_name(member.name)[1], file.read(member.size))


def _fault(members: Sequence[tarfile.TarInfo]) -> str:
    """Why a sample cannot be taken, "" if it can: its bytes have to be in the tar, once."""
    if any(not member.isfile() for member in members):
        return "is a link or a device, which is not followed"
    if any(member.issparse() for member in members):
        return "is a sparse file, which is not read"
    return ""


def _members(path: str) -> Iterator[tuple[str, list[tarfile.TarInfo]]]:
    """(key, its files) in order; only headers are read. No key comes twice."""
    done: set[str] = set()
    try:
        with tarfile.open(path, "r:") as tar:
            files = (member for member in _forwards(tar) if not member.isdir())
            for key, members in groupby(files, lambda member: split_name(member.name)[0]):
                if key in done:
                    raise CorruptFileError(
                        f"{path} has the sample {key!r} twice, other samples between: sort the tar by name."
                    )
                done.add(key)
                yield key, list(members)
    except BarycodeError:
        raise
    except Exception as error:  # tarfile raises whatever it makes of a header
        raise CorruptFileError(f"{path} is not an uncompressed tar, or ends early ({error}).") from error


def _forwards(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members, as long as each is behind the one before: sizes below zero would lead back for ever."""
    for member in tar:
        if member.size < 0 or tar.offset < member.offset_data:
            raise tarfile.ReadError(f"a size of {member.size}")
        yield member
