"""Corpora end to end, with an encoder that turns bytes around."""

import json
import os
import subprocess
import sys
import tarfile
from functools import partial

import pytest

from barycode.container.atomic import PREFIX, remove_leftovers
from barycode.corpora.engines.processes import run_processes
from barycode.corpora.folder import CorpusFolder
from barycode.errors import CorruptFileError, InvalidInputError, WorkerError
from encoders import Backwards

ENGINES = {"in this process": None, "processes": run_processes}


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_files_come_out_in_shards_and_the_second_run_does_nothing(engine, corpus, photos):
    folder = photos(*(b"%d" % n for n in range(100, 107)))
    run = corpus.run(folder, engine=engine, workers=2, size=3)
    assert len(run.portions) == 7  # at least four for each worker, where there are so many
    assert corpus.members() == {f"{n}.bary": (b"%d" % (100 + n))[::-1] for n in range(7)}
    before = {path.name: path.read_bytes() for path in corpus.out.iterdir()}
    calls = corpus.encoder.calls()
    corpus.run(folder, engine=engine)
    assert corpus.encoder.calls() == calls
    assert {path.name: path.read_bytes() for path in corpus.out.iterdir()} == before


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_failures_are_collected_and_stop_nothing(engine, corpus, photos):
    folder = photos(b"a", b"BAD", b"c", b"ERR", b"e")
    (folder / "5.png").symlink_to("nowhere")
    run = corpus.run(folder, engine=engine, workers=1, size=2)
    assert list(corpus.members()) == ["0.bary", "2.bary", "4.bary"]
    rows = [json.loads(line) for line in (corpus.out / "errors.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == [str(folder / f"{n}.png") for n in (1, 3, 5)]
    assert rows[0]["error"] == f"{folder / '1.png'} is bad."
    assert rows[1]["error"] == "ZeroDivisionError: none of ours"
    assert "No such file" in rows[2]["error"]
    assert sum(record.samples for record in run.done.values()) == 3
    assert sum(record.bytes_in for record in run.done.values()) == 3


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_what_is_not_kept_of_a_file_is_told_whenever_it_was_compressed(engine, corpus, photos):
    folder = photos(b"a", b"TELL", b"c", b"BAD")
    corpus.run(folder, engine=engine, size=1)
    row = {"file": str(folder / "1.png"), "note": "it was told"}
    assert json.loads((corpus.out / "notes.jsonl").read_text()) == row
    run = corpus.run(folder, engine=engine)
    assert json.loads((corpus.out / "notes.jsonl").read_text()) == row
    assert [(note.name, note.text) for note in run.notes()] == [tuple(row.values())]


def test_what_failed_is_taken_again_once_it_has_changed_and_leaves_the_list(corpus, photos):
    folder = photos(b"a", b"BAD", b"c", b"BAD")
    corpus.run(folder)
    photos(b"a", b"mended", b"c")
    os.utime(folder / "0.png", ns=(1, (folder / "0.png").stat().st_mtime_ns))
    before = len(corpus.encoder.calls())
    with pytest.raises(InvalidInputError, match="changed since it was compressed"):
        corpus.run(folder)  # 0 and 2 were written again, too
    assert len(corpus.encoder.calls()) == before


def test_a_mended_file_costs_only_itself(corpus, photos):
    folder = photos(b"a", b"BAD", b"c", b"BAD")
    corpus.run(folder)
    calls = len(corpus.encoder.calls())
    (folder / "1.png").write_bytes(b"mended")
    corpus.run(folder)
    assert corpus.encoder.calls()[calls:] == ["1.png"]
    assert corpus.members()["1.bary"] == b"dednem"
    assert len((corpus.out / "errors.jsonl").read_text().splitlines()) == 1
    (folder / "3.png").write_bytes(b"too")
    corpus.run(folder)
    assert corpus.members()["3.bary"] == b"oot"
    assert not (corpus.out / "errors.jsonl").exists()


def test_new_files_go_into_new_shards_and_deleted_ones_stay(corpus, photos):
    folder = photos(b"a", b"b", b"c")
    corpus.run(folder)
    shards = {path: path.read_bytes() for path in corpus.out.glob("shard-*")}
    (folder / "0.png").unlink()
    (folder / "00.png").write_bytes(b"new")
    calls = len(corpus.encoder.calls())
    corpus.run(folder)
    assert corpus.encoder.calls()[calls:] == ["00.png"]
    assert all(path.read_bytes() == data for path, data in shards.items())
    assert set(corpus.members()) == {"0.bary", "1.bary", "2.bary", "00.bary"}


def test_an_interrupted_run_loses_the_shard_in_hand_and_no_other(corpus, photos):
    folder = photos(*(b"%d" % n for n in range(6)))

    def until(work, tasks, workers):
        for number, portion in tasks[:2]:
            yield work(number, portion)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpus.run(folder, engine=until, size=2)
    done = corpus.encoder.calls()
    corpus.run(folder, size=5)  # the plan stays, whatever is asked later
    assert sorted(corpus.encoder.calls()) == sorted(f"{n}.png" for n in range(6))
    assert corpus.encoder.calls()[: len(done)] == done
    assert len(corpus.members()) == 6


def test_nothing_is_left_of_a_run_that_was_killed_after_its_last_record(corpus, photos):
    folder = photos(b"a", b"b", b"c")
    corpus.run(folder, size=2)
    before = sorted(path.name for path in corpus.out.iterdir())
    CorpusFolder(corpus.out, ".tar").journal(1).write_text("{}")
    (corpus.out / f"{PREFIX}{'0' * 16}").touch()
    remove_leftovers.cache_clear()  # a process looks once
    corpus.run(folder)
    assert sorted(path.name for path in corpus.out.iterdir()) == before


@pytest.mark.parametrize("lost", ["shard-000000.tar", "shard-000000.json"])
def test_a_shard_without_record_or_a_record_without_shard_is_not_done(lost, corpus, photos):
    folder = photos(b"a", b"b", b"c")
    corpus.run(folder, size=1)
    (corpus.out / lost).unlink()
    corpus.run(folder)
    assert corpus.encoder.calls() == ["0.png", "1.png", "2.png", "0.png"]
    assert len(corpus.members()) == 3


def test_a_worker_killed_in_the_middle_costs_nothing_but_its_portion(corpus, photos):
    folder = photos(b"a", b"b", b"c", b"ONCE", b"e", b"f", b"g", b"h")
    corpus.run(folder, engine=run_processes, workers=1, size=2)
    assert list(corpus.members()) == [f"{n}.bary" for n in range(8)]
    calls = corpus.encoder.calls()
    assert {name: calls.count(name) for name in calls} == {
        **{f"{n}.png": 1 for n in range(8)}, "2.png": 2, "3.png": 2
    }  # fmt: skip
    assert not (corpus.out / "errors.jsonl").exists()


def test_a_file_that_kills_its_workers_is_left_out_and_its_neighbours_are_not(corpus, photos):
    folder = photos(b"a", b"KILL", b"c", b"KILL")
    run = corpus.run(folder, engine=run_processes, workers=1, size=4)
    assert list(corpus.members()) == ["0.bary", "2.bary"]
    assert {failure.name for failure in run.failures()} == {str(folder / f"{n}.png") for n in (1, 3)}
    assert all("3 workers died" in failure.reason for failure in run.failures())
    assert not list(corpus.out.glob(".shard-*"))


def test_work_that_cannot_go_on_ends_the_run_with_a_sentence(corpus, photos, monkeypatch):
    folder = photos(b"a", b"b")

    def full(self, record):
        raise OSError(28, "No space left on device", "shard-000000.tar")

    def in_process(work, tasks, workers):
        return run_processes(work, tasks, workers)

    corpus.run(folder, engine=in_process)
    (corpus.out / "shard-000000.tar").unlink()
    (corpus.out / "shard-000000.tar").mkdir()  # where no shard can be written
    with pytest.raises(WorkerError, match=r"shard 0: .*is a folder"):
        corpus.run(folder, engine=in_process)


def test_an_encoder_that_cannot_be_loaded_is_told_and_not_tried_for_ever(corpus, photos):
    class Unknown(Backwards):
        pass

    folder = photos(b"a")
    corpus.run(folder)
    (corpus.out / "shard-000000.json").unlink()
    work_of = partial(_with_encoder, Unknown(corpus.where / "log"))
    with pytest.raises((WorkerError, AttributeError)):
        corpus.run(folder, engine=work_of)


def _with_encoder(encoder, work, tasks, workers):
    from dataclasses import replace

    return run_processes(replace(work, product=replace(work.product, encode=encoder)), tasks, workers)


def test_other_settings_and_a_second_run_at_a_time_are_refused(corpus, photos):
    folder = photos(b"a")
    corpus.run(folder, settings={"quality": 3, "effort": 1})
    with pytest.raises(InvalidInputError, match="quality was 3, now 4"):
        corpus.run(folder, settings={"quality": 4, "effort": 1})
    with (
        CorpusFolder(corpus.out, ".tar").alone(),
        pytest.raises(InvalidInputError, match="Another run"),
    ):
        corpus.run(folder, settings={"quality": 3, "effort": 1})


def test_force_begins_anew(corpus, photos):
    folder = photos(b"a", b"b", b"c")
    corpus.run(folder, size=1, settings={"quality": 3})
    (corpus.out / "notes.txt").write_text("mine")
    photos(b"z")
    corpus.run(folder, size=2, settings={"quality": 4}, force=True)
    assert corpus.members()["0.bary"] == b"z"
    assert len(list(corpus.out.glob("shard-*.json"))) == 3
    assert (corpus.out / "notes.txt").read_text() == "mine"


def test_force_knows_the_shards_of_more_than_a_million(tmp_path):
    """And leaves what is not of a corpus."""
    for name in ("shard-1000000.tar", "shard-1000000.json", ".shard-000001.journal", "shard-of-mine.tar"):
        (tmp_path / name).touch()
    CorpusFolder(tmp_path, ".tar").begin({}, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.json", "shard-of-mine.tar"]


@pytest.mark.parametrize("name", ["corpus.json", "plan.jsonl", "shard-000000.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]\n", b'{"a": 1}\n', b"\xff\n"])
def test_a_damaged_folder_is_a_typed_error(name, content, corpus, photos):
    folder = photos(b"a", b"b")
    corpus.run(folder, settings={"quality": 3})
    (corpus.out / name).write_bytes(content)
    if name == "plan.jsonl" and not content:
        return  # an empty plan: everything is planned again
    with pytest.raises((CorruptFileError, InvalidInputError), match=f"{name}|other settings"):
        corpus.run(folder, settings={"quality": 3})


def test_shards_say_nothing_about_the_machine(corpus, photos):
    corpus.run(photos(b"a"))
    with tarfile.open(corpus.out / "shard-000000.tar") as tar:
        member = tar.next()
    assert (member.mtime, member.uid, member.uname) == (0, 0, "")


MAIN = """
import torch  # before the engine has a say

from barycode.corpora.engines.processes import run_processes
from barycode.errors import InvalidInputError, WorkerError


def work(number, portion):
    raise InvalidInputError(f"{torch.get_num_threads()} threads")


if __name__ == "__main__":
    try:
        list(run_processes(work, [(0, None)], 1))
    except WorkerError as error:
        print(error)
"""


def test_a_worker_has_one_thread_whatever_the_main_module_loads(tmp_path):
    (tmp_path / "main.py").write_text(MAIN)
    environment = {**os.environ, "OMP_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, tmp_path / "main.py"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "shard 0: 1 threads"


def test_of_other_settings_only_those_that_differ_are_told(tmp_path):
    folder = CorpusFolder(tmp_path, ".tar")
    folder.begin(
        {"pictures": {"wanted": {"quality": 3.0, "size": None}, "effort": 0}, "side": None}, force=False
    )
    other = {"pictures": {"wanted": {"quality": 4.0, "size": None}, "effort": 0}, "side": None}
    with pytest.raises(InvalidInputError, match=r"\(pictures\.wanted\.quality was 3\.0, now 4\.0\)"):
        folder.begin(other, force=False)
    folder.begin(other, force=True)
