import tarfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from barycode.corpora.folder import CorpusFolder
from barycode.corpora.listing import list_inputs
from barycode.corpora.plan import Cut
from barycode.corpora.products import CompressedFiles
from barycode.corpora.run import CorpusRun
from barycode.corpora.work import Work
from encoders import Backwards

SUFFIXES = frozenset({".png", ".jpg"})


@dataclass
class Corpus:
    """Runs of the backwards encoder over inputs, into a folder `out` beside them."""

    where: Path

    @property
    def out(self) -> Path:
        return self.where / "out"

    @property
    def encoder(self) -> Backwards:
        return Backwards(self.where / "log")

    def run(self, *inputs, engine=None, workers=1, size=2, force=False, settings=None):
        """One run to its end. engine: (work, tasks, workers) -> records; by default in this process."""
        folder = CorpusFolder(self.out, ".tar")
        work = Work(folder, CompressedFiles(self.encoder, SUFFIXES))
        with folder.alone():
            folder.begin(settings or {}, force)
            listing = list_inputs([str(path) for path in inputs], SUFFIXES, self.out)
            run = CorpusRun.open(folder, listing, Cut(workers, size))
            for _ in run.go(partial(engine or serial, work, workers=workers)):
                pass
        return run

    def members(self) -> dict[str, bytes]:
        """Everything in the shards, in their order; no name twice."""
        found: dict[str, bytes] = {}
        for shard in sorted(self.out.glob("shard-*.tar")):
            with tarfile.open(shard) as tar:
                for member in tar:
                    assert member.name not in found
                    found[member.name] = tar.extractfile(member).read()
        return found


def serial(work, tasks, workers):
    return (work(number, portion) for number, portion in tasks)


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    return Corpus(tmp_path)


@pytest.fixture
def photos(tmp_path):
    """photos/0.png ... photos/6.png, with these contents."""

    def make(*contents: bytes) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        for number, content in enumerate(contents):
            (folder / f"{number}.png").write_bytes(content)
        return folder

    return make
