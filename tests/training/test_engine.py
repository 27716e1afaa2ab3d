"""Training on two processes, as torchrun starts them: the same networks and codebooks as on one."""

from pathlib import Path

import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.training.engine import Engine
from ranks import finish, start

pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with the extra scale")

SCRIPT = Path(__file__).with_name("train_on_ranks.py")
CLOSE = {"rtol": 2e-3, "atol": 2e-4}  # sums in another order, four steps of Adam
NEVER = float("inf")
METHODS = ["vq", "vq-revive", "vq-affine", "residual-2", "scq-relaxed", "sparse-2-2"]


def end(folder: Path, method: str, rank: int, world: int) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / f"{method}-{rank}-of-{world}.pt", weights_only=True)
    return state


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Folders one, two: the same runs on one and on two processes; moved: begun on two, ended on one."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("one", "two", "moved"):
        (folder / name).mkdir()
    finish(start(1, SCRIPT, folder / "one", NEVER, *METHODS))
    finish(start(2, SCRIPT, folder / "two", NEVER, *METHODS))
    finish(start(2, SCRIPT, folder / "moved", 0, *METHODS))  # stops at the first checkpoint
    finish(start(1, SCRIPT, folder / "moved", NEVER, *METHODS))
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_are_one_rank_on_the_whole_batch(method, runs):
    alone = end(runs / "one", method, 0, 1)
    first, second = (end(runs / "two", method, rank, 2) for rank in (0, 1))
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, **CLOSE, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_moves_to_another_number_of_processes(method, runs):
    alone, moved = end(runs / "one", method, 0, 1), end(runs / "moved", method, 0, 1)
    for name, value in alone.items():
        torch.testing.assert_close(moved[name], value, **CLOSE, msg=lambda m, n=name: f"{n}: {m}")


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
