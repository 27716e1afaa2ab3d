"""The folder that a corpus goes into: its settings, its plan, shards and their records.

corpus.json        the settings, which stay
plan.jsonl         a portion a line; the number of the line is the number of its shard
shard-000000.tar   appears whole
shard-000000.json  its record, which appears after it: the portion is done
errors.jsonl       what could not be compressed, with the reason
notes.jsonl        what is to be told of what was compressed: parts of files that are not kept
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from barycode.container import write_atomic
from barycode.container.atomic import remove_leftovers
from barycode.corpora.portions import Portion
from barycode.corpora.records import Failure, Note, Record
from barycode.errors import CorruptFileError, InvalidInputError

if sys.platform != "win32":
    import fcntl

OF_A_SHARD = re.compile(r"shard-\d{6,}\..*|\.shard-\d{6,}\.journal")
REPORTS = ("errors.jsonl", "notes.jsonl")
MALFORMED = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class CorpusFolder:
    """suffix: of the shards, ".tar"."""

    path: Path
    suffix: str

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within: no other run works in this folder; InvalidInputError if one does already."""
        if sys.platform == "win32":
            raise InvalidInputError("Corpora lock their folder, which Windows does not: use Linux or macOS.")
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInputError(f"{self.path} is a file: a corpus needs a folder as --output.")
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidInputError(f"Another run is writing into {self.path}: wait for it.") from None
            remove_leftovers(self.path)
            yield

    def begin(self, settings: Mapping[str, Any], force: bool) -> None:
        """Settle what the corpus is made with; `force` begins anew. Raises InvalidInputError where it was
        made with other settings.
        """
        file = self.path / "corpus.json"
        if force:
            self._clear()
        if not file.exists():
            write_atomic(file, json.dumps(dict(settings), indent=2).encode())
            return
        before, now = _flat(_read_json(file)), _flat(settings)
        different = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        if different:
            told = "; ".join(f"{key} was {before.get(key)}, now {now.get(key)}" for key in different)
            raise InvalidInputError(
                f"{self.path} was made with other settings ({told}): choose another --output, or begin anew "
                "with --force."
            )

    def shard(self, number: int) -> Path:
        """Where the shard of a portion is, or will be."""
        return self.path / f"shard-{number:06d}{self.suffix}"

    def journal(self, number: int) -> Path:
        """Where a worker notes which sample of a portion it has in hand."""
        return self.path / f".shard-{number:06d}.journal"

    def portions(self) -> list[Portion]:
        """Those that are planned, by their numbers; raises CorruptFileError."""
        file = self.path / "plan.jsonl"
        if not file.exists():
            return []
        try:
            return [Portion.from_json(json.loads(line)) for line in file.read_text().splitlines()]
        except MALFORMED as error:
            raise CorruptFileError(f"{file} is not the plan of a corpus ({error}).") from error

    def plan(self, portions: Sequence[Portion]) -> None:
        """Write down all portions, at once or not at all."""
        lines = ((json.dumps(portion.to_json()) + "\n").encode() for portion in portions)
        write_atomic(self.path / "plan.jsonl", lines, force=True)

    def record(self, number: int) -> Record | None:
        """The record of a portion that is done, its shard being there, too; raises CorruptFileError."""
        file, shard = self._record(number), self.shard(number)
        if not file.exists():
            return None
        try:
            record = Record.from_json(_read_json(file))
        except MALFORMED as error:
            raise CorruptFileError(f"{file} is not the record of a shard ({error}).") from error
        there = shard.stat().st_size if shard.exists() else 0
        return record if record.size == there else None

    def commit(self, record: Record) -> None:
        """The last step of a portion."""
        write_atomic(self._record(record.number), json.dumps(record.to_json()).encode(), force=True)
        self.journal(record.number).unlink(missing_ok=True)

    def write_report(self, failures: Sequence[Failure], notes: Sequence[Note]) -> None:
        """A line for each; no file where there is none."""
        self._write_rows(REPORTS[0], [{"file": f.name, "error": f.reason} for f in failures])
        self._write_rows(REPORTS[1], [{"file": n.name, "note": n.text} for n in notes])

    def _write_rows(self, name: str, rows: Sequence[Mapping[str, str]]) -> None:
        if rows:
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            write_atomic(self.path / name, lines.encode(), force=True)
        else:
            (self.path / name).unlink(missing_ok=True)

    def _record(self, number: int) -> Path:
        return self.path / f"shard-{number:06d}.json"

    def _clear(self) -> None:
        """Remove the corpus that is there, the plan last: a run that is killed meanwhile begins anew, too."""
        for file in [file for file in self.path.iterdir() if OF_A_SHARD.fullmatch(file.name)]:
            file.unlink()
        for name in (*REPORTS, "plan.jsonl", "corpus.json"):
            (self.path / name).unlink(missing_ok=True)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Every single setting of nested ones, by its own name behind those that it is in."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        inside = _flat(value) if isinstance(value, Mapping) else {"": value}
        flat |= {".".join(filter(None, (key, name))): entry for name, entry in inside.items()}
    return flat


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except ValueError as error:
        raise CorruptFileError(f"{file} is damaged ({error}): remove it.") from error
    if not isinstance(value, dict):
        raise CorruptFileError(f"{file} is damaged (a {type(value).__name__}): remove it.")
    return value
