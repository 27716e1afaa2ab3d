"""Samples: what belongs together under one key, as WebDataset means it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """One file of a sample: its suffix (".jpg", ".input.png"), and its bytes or where they are."""

    suffix: str
    content: bytes | Path

    @property
    def kind(self) -> str:
        """The last suffix, which says what it is."""
        return "." + self.suffix.rpartition(".")[2].lower()

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    @contextmanager
    def file(self) -> Iterator[Path]:
        """A file with the content, for as long as the context lasts."""
        if isinstance(self.content, Path):
            yield self.content
            return
        with tempfile.NamedTemporaryFile(prefix="barycode-", suffix=self.kind) as file:
            file.write(self.content)
            file.flush()
            yield Path(file.name)


@dataclass(frozen=True)
class Sample:
    """A key, the parts under it, and what messages call it."""

    key: str
    name: str
    parts: tuple[Part, ...]


def split_name(name: str) -> tuple[str, str]:
    """Key and suffix of a file in a WebDataset shard: the first dot of the last component parts them."""
    folder, slash, file = name.rpartition("/")
    key, dot, suffix = file.partition(".")
    return folder + slash + key, dot + suffix
