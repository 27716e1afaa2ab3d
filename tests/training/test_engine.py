"""Training on two processes, as torchrun starts them: the same networks and codebooks as on one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.training.engine import Engine

pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with the extra scale")

SCRIPT = Path(__file__).with_name("train_on_ranks.py")
CLOSE = {"rtol": 2e-3, "atol": 2e-4}  # sums in another order, four steps of Adam
METHODS = ["vq", "vq-revive", "vq-affine", "residual-2", "scq-relaxed", "sparse-2-2"]


def train(folder: Path, processes: int, methods: list[str], deadline: float = float("inf")) -> None:
    """Run the script on so many processes, all of one thread."""
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), str(SCRIPT), str(folder), str(deadline), *methods]
    found = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert found.returncode == 0, found.stderr[-3000:]


def end(folder: Path, method: str, rank: int, world: int) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / f"{method}-{rank}-of-{world}.pt", weights_only=True)
    return state


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Folders one, two: the same runs on one and on two processes; moved: begun on two, ended on one."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("one", "two", "moved"):
        (folder / name).mkdir()
    train(folder / "one", 1, METHODS)
    train(folder / "two", 2, METHODS)
    train(folder / "moved", 2, METHODS, deadline=0)  # stops at the first checkpoint
    train(folder / "moved", 1, METHODS)
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_are_one_rank_on_the_whole_batch(method, runs):
    alone = end(runs / "one", method, 0, 1)
    first, second = (end(runs / "two", method, rank, 2) for rank in (0, 1))
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(
            first[name], value, rtol=2e-3, atol=2e-4, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_moves_to_another_number_of_processes(method, runs):
    alone, moved = end(runs / "one", method, 0, 1), end(runs / "moved", method, 0, 1)
    for name, value in alone.items():
        torch.testing.assert_close(
            moved[name], value, rtol=2e-3, atol=2e-4, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_precisions_have_names():
    assert Engine.from_environment().world == 1
    with pytest.raises(InvalidInputError, match="expected one of float32, bfloat16, auto"):
        Engine.from_environment("float8")


def test_bfloat16_trains_in_float32_weights():
    engine = Engine.from_environment("bfloat16")
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    forward = engine.setup(model, optimizer)
    z = engine.share(torch.randn(8, 4))
    loss = forward(z).square().mean()
    engine.backward(loss)
    assert model.weight.grad is not None
    assert model.weight.dtype == model.weight.grad.dtype == torch.float32
    exact = (z @ model.weight.T + model.bias).square().mean()
    assert loss.item() != exact.item()  # it was in bfloat16
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
