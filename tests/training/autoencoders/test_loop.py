"""The loop around any task is interrupted and goes on."""

import os
import signal

import pytest
import torch

from barycode.training.autoencoders.loop import Loop


class Counting:
    """A task that adds random numbers up, and is interrupted at some steps."""

    def __init__(self, interrupted: set[int]) -> None:
        self.sum, self.count, self.interrupted = 0.0, 0, interrupted

    def step(self) -> float:
        self.sum += float(torch.rand(()))
        self.count += 1
        if self.count in self.interrupted:
            os.kill(os.getpid(), signal.SIGINT)
        return self.sum

    def validate(self) -> dict[str, float]:
        return {"sum": self.sum}

    def state_dict(self) -> dict[str, float]:
        return {"sum": self.sum, "count": self.count}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.sum, self.count = state["sum"], int(state["count"])


def run(folder, interrupted=frozenset()) -> Loop:
    torch.manual_seed(0)
    loop = Loop(Counting(interrupted), 40, folder)
    loop.resume()
    assert loop.run()
    return loop


@pytest.mark.parametrize("step", [1, 17, 20, 39])
def test_ctrl_c_saves_where_it_is_and_the_same_run_goes_on(tmp_path, capsys, step):
    whole = run(tmp_path / "whole").curve("sum")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "halves", {step})
    assert f"saved at step {step} of halves: the same command goes on" in capsys.readouterr().err
    torch.rand(3)  # other numbers than in one go, if they were not restored
    assert run(tmp_path / "halves").curve("sum") == whole


def test_a_damaged_checkpoint_is_not_the_end(tmp_path):
    whole = run(tmp_path / "whole").curve("sum")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "halves", {17})
    newest = max((tmp_path / "halves").glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    assert run(tmp_path / "halves").curve("sum") == whole
