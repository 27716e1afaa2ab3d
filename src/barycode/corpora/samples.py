"""Samples: what belongs together under one key, as WebDataset means it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from barycode.errors import InvalidInputError

MOST_CHARACTERS = 4096  # of a key


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
    """A key, the parts under it, and what messages call it; `fault` is why it cannot be taken, if so."""

    key: str
    name: str
    parts: tuple[Part, ...]
    fault: str = ""

    def check(self) -> None:
        """Raise InvalidInputError for what cannot be in a shard: its names become somebody's files."""
        fault = self.fault or key_fault(self.key)
        if fault:
            raise InvalidInputError(f"{self.name} {fault}.")


def key_fault(key: str) -> str:
    """What is wrong with a key, "" if nothing: shards have relative paths below the folder they unpack in."""
    if len(key) > MOST_CHARACTERS:
        return f"has a name of {len(key):,} characters, more than {MOST_CHARACTERS:,}"
    if any(ord(character) < ord(" ") for character in key):
        return "has control characters in its name"
    if key.startswith("/") or any(part in ("", ".", "..") for part in key.split("/")):
        return "has a name that is empty or leads out of its folder"
    return ""


def split_name(name: str) -> tuple[str, str]:
    """Key and suffix of a file in a WebDataset shard: the first dot of the last component parts them."""
    folder, slash, file = name.rpartition("/")
    key, dot, suffix = file.partition(".")
    return folder + slash + key, dot + suffix
