import math

import pytest

from barycode.errors import CorruptFileError
from barycode.training.progress import RunningMean, TrainingLog, duration, training_bar


def test_a_log_is_a_line_a_step(tmp_path):
    log = TrainingLog(tmp_path / "run" / "log.jsonl")
    assert log.read() == []
    log.write(10, loss=0.5, rate=2)
    log.write(20, loss=math.nan)
    assert log.read() == [{"step": 10, "loss": 0.5, "rate": 2.0}, {"step": 20, "loss": None}]


def test_resuming_drops_what_came_after_the_checkpoint(tmp_path):
    log = TrainingLog(tmp_path / "log.jsonl")
    log.resume_at(5)
    for step in (1, 2, 3):
        log.write(step, loss=step)
    log.resume_at(2)
    log.write(3, loss=30)
    assert [line["loss"] for line in log.read()] == [1, 2, 30]
    log.resume_at(0)
    assert log.read() == []


def test_a_damaged_log_is_named(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"st')
    with pytest.raises(CorruptFileError, match=r"log\.jsonl is not a training log"):
        TrainingLog(tmp_path / "log.jsonl").read()


def test_the_running_mean_is_unbiased_from_the_start():
    mean = RunningMean(decay=0.9)
    assert mean.update(5.0) == pytest.approx(5.0)
    assert mean.update(3.0) == pytest.approx((0.09 * 5 + 0.1 * 3) / 0.19)


def test_the_bar_advances_and_tells(capsys):
    with training_bar("training", steps=3, done=1) as bar:
        bar.advance(loss=0.12345)
        task = bar.progress.tasks[0]
        assert (task.completed, task.total) == (2, 3)
        assert task.fields["note"] == "loss 0.1235"
    assert capsys.readouterr().out == "", "progress goes to stderr"


def test_how_long_it_will_take_is_told_after_the_first_steps(capsys):
    with training_bar("training", steps=100) as bar:
        for _ in range(9):
            bar.advance()
        assert "left" not in capsys.readouterr().err
        bar.advance()
    assert "training: about 0 seconds for the 90 steps that are left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 seconds"), (1500, "25 minutes"), (12600, "3.5 hours")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_half_a_line_of_a_killed_run_is_dropped(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"st')
    log = TrainingLog(tmp_path / "log.jsonl")
    log.resume_at(1)
    assert log.read() == [{"step": 1}]
