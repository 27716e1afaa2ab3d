"""What is counted while a shard is written."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from barycode.corpora.journal import MOST_DEATHS, Journal
from barycode.corpora.records import Failure, Note
from barycode.corpora.samples import Sample
from barycode.errors import BarycodeError


@dataclass
class Tally:
    """Samples of `source`, a file or the first of several, that came through; their bytes before and after;
    failures; notes of what came through.
    """

    source: str
    journal: Journal
    samples: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def each(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The samples, without those that kill their workers; an end that comes too early is a failure."""
        last = ""
        try:
            for place, sample in enumerate(samples):
                last = sample.name
                if self.journal.begin(place):
                    yield sample
                else:
                    self.failures.append(
                        Failure(sample.name, f"{MOST_DEATHS} workers died while they had it in hand.")
                    )
        except (BarycodeError, OSError) as error:
            self.failures.append(Failure(f"what comes after {last}" if last else self.source, reason(error)))

    @contextmanager
    def attempt(self, sample: Sample) -> Iterator[None]:
        """Within: whatever is raised is a failure of this sample."""
        before, told = (self.bytes_in, self.bytes_out), len(self.notes)
        try:
            yield
            self.samples += 1
        except Exception as error:
            self.bytes_in, self.bytes_out = before
            del self.notes[told:]
            self.failures.append(Failure(sample.name, reason(error)))

    def compressed(self, before: int, after: int) -> None:
        self.bytes_in += before
        self.bytes_out += after

    def tell(self, sample: Sample, notes: Sequence[str]) -> None:
        self.notes += [Note(sample.name, note) for note in notes]


def reason(error: BaseException) -> str:
    """An error as one sentence."""
    foreseen = isinstance(error, BarycodeError | OSError)
    return " ".join(str(error).split()) if foreseen else f"{type(error).__name__}: {error}"
