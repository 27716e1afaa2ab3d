"""The same corpora on a real Ray cluster of this machine."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from barycode.cli.corpora import IndexEncoder
from barycode.corpora.engines.processes import run_processes
from barycode.corpora.engines.ray_data import ray_cluster, run_on_ray
from barycode.corpora.folder import CorpusFolder
from barycode.corpora.listing import list_inputs
from barycode.corpora.plan import Cut
from barycode.corpora.products import CompressedFiles
from barycode.corpora.run import CorpusRun
from barycode.corpora.work import Work
from barycode.errors import WorkerError
from encoders import Backwards, tokens_run  # noqa: F401 (what the workers import)

ray = pytest.importorskip("ray", reason="Ray comes with the extra corpora")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's, about itself


@pytest.fixture(scope="module")
def cluster():
    """Two CPUs; workers find what the tests import."""
    with pytest.MonkeyPatch.context() as patch:
        tests = str(Path(__file__).parents[1])
        patch.setenv("PYTHONPATH", os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]))
        with ray_cluster(None, 2) as cpus:
            yield cpus


def test_ray_writes_the_same_bytes_and_survives_a_worker_killed_in_the_middle(cluster, corpus, photos):
    assert cluster == 2
    folder = photos(*(b"%d" % n for n in range(5)), b"ONCE", b"BAD", b"KILL", b"last")
    run = corpus.run(folder, engine=run_on_ray, workers=2, size=2)
    assert (corpus.where / "died").exists()
    calls = corpus.encoder.calls()
    others = {f"{n}.png" for n in (0, 1, 2, 3, 4, 6, 8)}
    assert {name for name in others if calls.count(name) != 1} == set()
    assert calls.count("7.png") == 3
    assert [Path(failure.name).name for failure in run.failures()] == ["6.png", "7.png"]
    shards = {path.name: path.read_bytes() for path in corpus.out.glob("*.tar")}
    corpus.run(folder, engine=run_on_ray)
    assert corpus.encoder.calls() == calls  # nothing is done again
    corpus.run(folder, engine=run_processes, force=True, workers=2, size=2)
    assert {path.name: path.read_bytes() for path in corpus.out.glob("*.tar")} == shards


def test_work_that_cannot_go_on_ends_a_run_on_ray_with_a_sentence(cluster, corpus, photos):
    corpus.out.mkdir()
    (corpus.out / "shard-000000.tar").mkdir()
    with pytest.raises(WorkerError, match=r"shard 0: .*is a folder"):
        corpus.run(photos(b"a"), engine=run_on_ray)


def test_ray_writes_the_shards_of_indices_that_processes_write(cluster, tmp_path):
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    encoder = IndexEncoder.of(tokens_run(tmp_path / "runs"), None)
    shards = {}
    for engine in (run_on_ray, run_processes):
        folder = CorpusFolder(tmp_path / engine.__name__, ".tar")
        work = Work(folder, CompressedFiles(encoder, encoder.suffixes_in_shards()))
        with folder.alone():
            folder.begin(encoder.settings(), False)
            listing = list_inputs(
                [str(tmp_path / f"{n}.png") for n in range(4)], frozenset({".png"}), folder.path
            )
            run = CorpusRun.open(folder, listing, Cut(2, 2))
            assert not [
                failure for record in run.go(partial(engine, work, workers=2)) for failure in record.failures
            ]
        shards[engine] = {path.name: path.read_bytes() for path in folder.path.glob("*.tar")}
    assert shards[run_on_ray] == shards[run_processes]
    assert len(shards[run_on_ray]) == 4
