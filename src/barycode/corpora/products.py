"""What a shard is made of: files that are compressed one by one, in a tar that WebDataset reads."""

import io
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from barycode.container import EXTENSION
from barycode.corpora.samples import Part, Sample
from barycode.corpora.tally import Tally
from barycode.errors import InvalidInputError


class Encoded(NamedTuple):
    """A .bary file, and what is to be told about it: each note in a few words."""

    data: bytes
    notes: Sequence[str] = ()


Encode = Callable[[Path, str], Encoded]  # of a file, and what messages call it


class Product(Protocol):
    """What fills shards."""

    def write(self, samples: Iterable[Sample], shard: Path, tally: Tally) -> None:
        """Write a whole shard; samples that cannot be compressed are failures of the tally."""


@dataclass(frozen=True)
class CompressedFiles:
    """Files are compressed; of the parts of a shard's or table's samples those that end in one of `suffixes`,
    and the others go along as they are.

    The same samples make the same bytes.
    """

    encode: Encode
    suffixes: frozenset[str]

    def write(self, samples: Iterable[Sample], shard: Path, tally: Tally) -> None:
        """Write a whole tar; samples that cannot be compressed are failures of the tally."""
        with tarfile.open(shard, "w", format=tarfile.PAX_FORMAT) as tar:
            for sample in tally.each(samples):
                parts: list[tuple[str, bytes]] = []
                with tally.attempt(sample):
                    parts = self._parts(sample, tally)
                for suffix, data in parts:
                    _add(tar, sample.key + suffix, data)

    def _parts(self, sample: Sample, tally: Tally) -> list[tuple[str, bytes]]:
        sample.check()
        parts = [self._part(sample, part, tally) for part in sample.parts]
        if len({suffix for suffix, _ in parts}) < len(parts):
            raise InvalidInputError(f"{sample.name} has several parts that would have one name.")
        if not any(suffix.endswith(EXTENSION) for suffix, _ in parts):
            raise InvalidInputError(f"{sample.name} has no part to compress.")
        return parts

    def _part(self, sample: Sample, part: Part, tally: Tally) -> tuple[str, bytes]:
        if isinstance(part.content, bytes) and part.kind not in self.suffixes:
            return part.suffix, part.read()
        with part.file() as path:
            encoded = self.encode(path, sample.name)
        tally.compressed(part.size, len(encoded.data))
        tally.tell(sample, encoded.notes)
        return part.suffix.rpartition(".")[0] + EXTENSION, encoded.data


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # whose owner, mode and time say nothing about this machine
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
