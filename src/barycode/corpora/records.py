"""What became of a portion: its shard, and the samples that could not be compressed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A sample that is not in its shard, and why, in a sentence. `name` is the path of what is a file."""

    name: str
    reason: str


@dataclass(frozen=True)
class Note:
    """What is to be told of a sample that is in its shard: what its file had that is not kept."""

    name: str
    text: str


@dataclass(frozen=True)
class Record:
    """number: of the portion and its shard. samples: in the shard. bytes_in, bytes_out: of what was
    compressed, before and after. size: of the shard in bytes; 0 for none. seconds: of one worker.
    """

    number: int
    samples: int
    bytes_in: int
    bytes_out: int
    size: int
    seconds: float
    failures: tuple[Failure, ...] = ()
    notes: tuple[Note, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its fields, as `from_json` takes them."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Record":
        """What `to_json` gave; raises TypeError or KeyError for anything else."""
        failures = tuple(Failure(**failure) for failure in value["failures"])
        return cls(**{**value, "failures": failures, "notes": tuple(Note(**n) for n in value["notes"])})
