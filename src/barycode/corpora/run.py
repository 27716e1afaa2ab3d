"""One run over a corpus: what is done, what is left, and what it came to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from barycode.corpora.folder import CorpusFolder
from barycode.corpora.listing import Listing
from barycode.corpora.plan import Cut, plan
from barycode.corpora.portions import Portion
from barycode.corpora.records import Failure, Note, Record

Engine = Callable[[Sequence[tuple[int, Portion]]], Iterator[Record]]


@dataclass
class CorpusRun:
    """The portions of a corpus by their numbers, and the records of those that are done."""

    folder: CorpusFolder
    portions: list[Portion]
    done: dict[int, Record] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: CorpusFolder, listing: Listing, cut: Cut) -> "CorpusRun":
        """The run where it stands, with portions for what is new."""
        known = folder.portions()
        run = cls(folder, known)
        run._look()
        failed = frozenset(failure.name for failure in run.failures())
        new = plan(listing, known, failed, cut)
        if new:
            run.portions = [*known, *new]
            folder.plan(run.portions)
        return run

    def waiting(self) -> list[tuple[int, Portion]]:
        """Portions that are not done, with their numbers."""
        return [(n, portion) for n, portion in enumerate(self.portions) if n not in self.done]

    def go(self, engine: Engine) -> Iterator[Record]:
        """Do what is left; each record when its shard is there. Ends with what is to be told on disk."""
        try:
            waiting = self.waiting()
            for record in engine(waiting) if waiting else ():
                self.done[record.number] = record
                yield record
        finally:
            self.folder.write_report(self.failures(), self.notes())

    def failures(self) -> list[Failure]:
        """What is in no shard so far: a file that failed and came through later is not among them."""
        found: dict[str, Failure] = {}
        for number in sorted(self.done):
            for path in self.portions[number].paths:
                found.pop(path, None)
            found.update((failure.name, failure) for failure in self.done[number].failures)
        return list(found.values())

    def notes(self) -> list[Note]:
        """Of all that is in a shard."""
        return [note for number in sorted(self.done) for note in self.done[number].notes]

    def _look(self) -> None:
        for number in range(len(self.portions)):
            record = self.folder.record(number)
            if record is not None:
                self.done[number] = record
                self.folder.journal(number).unlink(missing_ok=True)  # of a worker killed after its record
