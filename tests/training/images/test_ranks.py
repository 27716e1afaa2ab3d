"""Training pictures on two processes, as torchrun starts them: the same models as on one."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from barycode.training.checkpoints import Checkpoints
from ranks import finish, start, told_by

pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with the extra scale")

SCRIPT = Path(__file__).with_name("train_on_ranks.py")
KINDS = ["contexts", "decoder", "refined", "replay", "joint", "vectors", "stages"]
CONTINUED = ["contexts", "decoder", "joint", "vectors"]  # a replay's crops are not in its checkpoints
CLOSE = {"rtol": 1e-3, "atol": 1e-4}  # sums in another order, four steps of Adam
WHOLE, HALF = -1, 1  # before which step the last rank is told to stop


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Folders one, two: the same runs on one and on two processes; moved-N: begun on the other number of
    processes, where Ctrl-C reaches the last of them only, and ended on N.
    """
    folder = tmp_path_factory.mktemp("runs")
    for name in ("one", "two", "moved-1", "moved-2"):
        (folder / name).mkdir()
    finish(start(1, SCRIPT, folder / "one", WHOLE, "tables", *KINDS))
    finish(start(2, SCRIPT, folder / "two", WHOLE, "tables", *KINDS, "long"))
    for processes in (1, 2):
        finish(start(3 - processes, SCRIPT, folder / f"moved-{processes}", HALF, *CONTINUED))
        finish(start(processes, SCRIPT, folder / f"moved-{processes}", WHOLE, *CONTINUED))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_are_one_rank_on_the_whole_batch(kind, runs):
    stages = sorted(path.name for path in (runs / "one" / kind).iterdir())
    assert stages
    for stage in stages:  # weights, their average, Adam's moments, sigma
        assert_close(runs / "two" / kind / stage, runs / "one" / kind / stage)
    first, second = (
        torch.load(runs / "two" / f"{kind}-{rank}-of-2.pt", weights_only=True) for rank in (0, 1)
    )
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_two_ranks_count_the_tables_of_one(runs):
    """Of scalars and of code vectors, to the bit: histograms are integers."""
    alone = (runs / "one" / "tables-0-of-1").read_bytes()
    assert all((runs / "two" / f"tables-{rank}-of-2").read_bytes() == alone for rank in (0, 1))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("kind", CONTINUED)
def test_a_checkpoint_moves_to_another_number_of_processes(kind, processes, runs):
    moved = runs / f"moved-{processes}" / kind / "stage-0"
    assert_close(moved, runs / "one" / kind / "stage-0")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_torchrun_that_is_stopped_saves_and_goes_on_from_there(how, runs, tmp_path):
    with start(2, SCRIPT, tmp_path, WHOLE, "long") as run:
        wait_for_a_checkpoint(run, tmp_path)
        run.send_signal(how)
        told = told_by(run)
    assert run.returncode != 0
    assert told.count("saved at step") == 1, told  # by one of the two
    found = Checkpoints(tmp_path / "long" / "stage-0").latest()
    assert found is not None
    assert f"saved at step {found[0]} of" in told
    assert not list(tmp_path.rglob(".barycode-*"))
    finish(start(2, SCRIPT, tmp_path, WHOLE, "long"))
    assert (tmp_path / "long-1-of-2").read_bytes() == (runs / "two" / "long-1-of-2").read_bytes()


def test_torchrun_starts_again_after_a_rank_is_killed(runs, tmp_path):
    with start(2, SCRIPT, tmp_path, WHOLE, "long", restarts=1) as run:
        wait_for_a_checkpoint(run, tmp_path)
        os.kill(int((tmp_path / "process-1").read_text()), signal.SIGKILL)
        told = finish(run)
    assert "long" in told
    assert (tmp_path / "long-0-of-2").read_bytes() == (runs / "two" / "long-0-of-2").read_bytes()


def wait_for_a_checkpoint(run: subprocess.Popen[str], folder: Path) -> None:
    while not list(folder.rglob("step-*.safetensors")):
        assert run.poll() is None
        time.sleep(0.02)


def assert_close(found: Path, expected: Path) -> None:
    """The newest checkpoints of two stages hold the same, but for the order of sums."""
    newest = Checkpoints(found).latest(), Checkpoints(expected).latest()
    assert newest[0] is not None
    assert newest[1] is not None
    (step, state), (same, wanted) = newest
    assert step == same
    values = dict(leaves(wanted))
    assert values
    for name, value in leaves(state):
        torch.testing.assert_close(value, values.pop(name), **CLOSE, msg=lambda m, n=name: f"{n}: {m}")
    assert not values


def leaves(state: Any, name: str = "") -> Iterator[tuple[str, Tensor | float | None]]:
    """Names and numbers of a nested state."""
    if isinstance(state, dict):
        for key, value in state.items():
            yield from leaves(value, f"{name}/{key}")
    elif isinstance(state, list):
        yield from leaves(dict(enumerate(state)), name)
    elif not isinstance(state, str):
        yield name, state
