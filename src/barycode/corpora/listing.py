"""What there is to compress: inputs as people name them, down to files."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from barycode.corpora.portions import stamp
from barycode.errors import InvalidInputError, MissingDataError

TAR, TABLE, LIST = ".tar", ".parquet", ".txt"
INDEX = ".index.json"  # of a checkpoint in several files
PACKED = re.compile(r"\.(tgz|tbz2|txz|tar\.\w+)$", re.IGNORECASE)  # tars that are read from the start only


@dataclass(frozen=True)
class Listing:
    """The versions (`stamp`) of all files by their absolute paths, in the order in which they are taken.

    others: how many of which suffix were found in folders and left alone.
    """

    files: dict[str, str]
    tars: dict[str, str]
    tables: dict[str, str]
    others: Counter[str] = field(default_factory=Counter)

    @property
    def all(self) -> dict[str, str]:
        """Of all three kinds."""
        return {**self.files, **self.tars, **self.tables}


def list_inputs(inputs: Sequence[str], suffixes: frozenset[str], without: Path) -> Listing:
    """List files, tars, Parquet files, folders of them, and .txt lists of their paths.

    suffixes: of the files that are taken from folders. without: a folder that is left out, the output's.
    Raises MissingDataError for an input that is not there, or if there is nothing, InvalidInputError for
    compressed tars.
    """
    excluded = str(without.absolute()) + os.sep
    found: dict[str, None] = {}
    listing = Listing({}, {}, {})
    for text in inputs:
        for path, taken in _expand(text, suffixes):
            if path.startswith(excluded):
                continue
            if taken:
                found[path] = None
            else:
                listing.others[Path(path).suffix.lower()] += 1
    if not found:
        kinds = ", ".join(sorted(suffixes))
        raise MissingDataError(
            f"{', '.join(inputs)}: nothing to compress; looked for {TAR}, {TABLE} and {kinds}."
        )
    kinds_of = {TAR: listing.tars, TABLE: listing.tables}
    for path in found:
        kinds_of.get(Path(path).suffix.lower(), listing.files)[path] = stamp(path)
    return listing


def _expand(text: str, suffixes: frozenset[str]) -> Iterator[tuple[str, bool]]:
    """Files, and whether they are taken."""
    if text == "-":
        raise InvalidInputError("A corpus is files: standard input goes without --engine.")
    path = os.path.abspath(text)  # noqa: PTH100 (without resolving links)
    if Path(path).is_dir():
        yield from _below(path, suffixes)
    elif not Path(path).exists():
        raise MissingDataError(f"{text} does not exist.")
    elif path.lower().endswith(LIST):
        lines = Path(path).read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
        yield from ((os.path.abspath(line), True) for line in lines if line.strip())  # noqa: PTH100
    elif PACKED.search(path):
        raise InvalidInputError(f"{text} is a compressed tar: unpack it to a .tar, such as by gunzip.")
    else:
        yield path, True


def _below(folder: str, suffixes: frozenset[str]) -> Iterator[tuple[str, bool]]:
    """What is below a folder, sorted, so that it is the same list wherever it is made; parts of a checkpoint
    go with its index.
    """
    taken = suffixes | {TAR, TABLE}
    for where, folders, names in os.walk(folder):
        folders.sort()
        parts = {part for name in names if name.endswith(INDEX) for part in _parts(Path(where) / name)}
        for name in sorted(names):
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
            whole = name.endswith(INDEX) and _parts(Path(where) / name) and ".safetensors" in suffixes
            if name not in parts:
                yield os.path.join(where, name), suffix in taken or bool(whole)  # noqa: PTH118


def _parts(index: Path) -> frozenset[str]:
    """The files that the index of a sharded checkpoint names; none if it is something else."""
    try:
        return frozenset(json.loads(index.read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()
