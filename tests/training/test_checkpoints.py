import pickle

import pytest
import torch

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.training.checkpoints import Checkpoints, load_state, save_state


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    else:
        assert a == b


def test_nested_states_survive(tmp_path):
    shared = torch.arange(6.0)
    state = {
        "model": {"weight": shared.view(2, 3), "again": shared, "flag": torch.tensor(True)},
        "optimizer": {
            "state": {0: {"step": torch.tensor(3.0)}, 1: {}},
            "param_groups": [{"lr": 1e-3, "on": True}],
        },
        "generator": torch.Generator().manual_seed(5).get_state(),
        "empty": [{}, [], None, "text", 7, torch.empty(0, 4)],
    }
    save_state(tmp_path / "state", state)
    assert_same(load_state(tmp_path / "state"), state)


def test_an_optimizer_goes_on_as_if_it_had_not_stopped(tmp_path):
    def step(parameter, optimizer, times):
        for _ in range(times):
            optimizer.zero_grad()
            (parameter**2).sum().backward()
            optimizer.step()

    first = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    adam = torch.optim.Adam([first], lr=0.1)
    step(first, adam, 3)
    save_state(tmp_path / "state", {"p": first, "adam": adam.state_dict()})
    step(first, adam, 3)

    state = load_state(tmp_path / "state")
    second = torch.nn.Parameter(state["p"])
    resumed = torch.optim.Adam([second], lr=0.9)
    resumed.load_state_dict(state["adam"])
    step(second, resumed, 3)
    assert torch.equal(first, second)


def test_the_newest_checkpoints_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run", keep=2)
    assert checkpoints.latest() is None
    for step in (100, 200, 1000):
        checkpoints.save(step, {"value": step})
    assert checkpoints.latest() == (1000, {"value": 1000})
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "step-00000200.safetensors",
        "step-00001000.safetensors",
    ]


def test_damaged_or_hostile_checkpoints_are_refused(tmp_path):
    save_state(tmp_path / "good", {"x": torch.ones(3)})
    data = (tmp_path / "good").read_bytes()
    for bad in (b"", data[:20], data[:-2], pickle.dumps({"x": 1}), b"\xff" * 40):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(CorruptFileError, match="bad is not a checkpoint"):
            load_state(tmp_path / "bad")


@pytest.mark.parametrize("state", [{"x": object()}, {"x": {1: 0, "a": 0}}, {"x": {(1, 2): 0}}])
def test_what_cannot_be_kept_is_refused(tmp_path, state):
    with pytest.raises(InvalidInputError, match="a checkpoint"):
        save_state(tmp_path / "state", state)


def test_the_newest_sound_checkpoint_is_taken_and_the_damaged_one_told(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2, 3):
        checkpoints.save(step, {"value": step})
    for step, data in ((3, b""), (2, (tmp_path / "step-00000002.safetensors").read_bytes()[:-3])):
        (tmp_path / f"step-{step:08d}.safetensors").write_bytes(data)
        assert checkpoints.latest() == (step - 1, {"value": step - 1})
        assert f"step-{step:08d}.safetensors is not a checkpoint" in capsys.readouterr().err
    (tmp_path / "step-00000001.safetensors").unlink()
    assert checkpoints.latest() is None
