"""Fine-tuning in ten lines: the size that was asked for, outputs like the float network's, in any loop."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from barycode.errors import InvalidInputError
from barycode.weights import BitsPerWeight, Lossless, Size, compress, decompress
from barycode.weights.soft_to_hard import FineTuning, Recipe, divergence, relative_error

X = torch.randn(512, 12, generator=torch.Generator().manual_seed(0))

FAST = Recipe(head_start=0.0, ramp=0.01)  # for runs of a few steps


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 96), nn.ReLU(), nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 6))


def batches(count: int, seed: int = 0, size: int = 64) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [X[torch.randint(0, len(X), (size,), generator=random)] for _ in range(count)]


def train(model: nn.Module, tuning: FineTuning, optimizer: torch.optim.Optimizer, data: list[Tensor]) -> None:
    for x in data:
        loss = tuning.loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def error(model: nn.Module, data: bytes) -> float:
    """How far the outputs of what the file holds are from those of a float network."""
    with torch.no_grad():
        want = model.eval()(X)
        model.load_state_dict(decompress(data))
        return float(relative_error(model(X), want))


@pytest.mark.parametrize("target", [BitsPerWeight(1.5), BitsPerWeight(3.0), Size(1900)], ids=str)
def test_the_file_has_the_size_asked_for_and_outputs_stay(target) -> None:
    model = network()
    tuning = FineTuning(model, target, steps=150)
    train(model, tuning, tuning.optimizer(), batches(150))
    data = tuning.compress()
    assert 0.97 * tuning.limit < len(data) <= tuning.limit
    assert model.state_dict().keys() == network().state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in _matrices(data))
    plain = compress(network().state_dict(), BitsPerWeight(8 * tuning.limit / _count(network())))
    assert error(network(), data) < 0.4 * error(network(), plain)


def _matrices(data: bytes) -> list[tuple[str, Tensor]]:
    return [(name, tensor) for name, tensor in decompress(data).items() if tensor.ndim > 1]


def _count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_training_that_ends_too_early_is_told_and_has_the_size_all_the_same() -> None:
    model = network()
    tuning = FineTuning(model, BitsPerWeight(1), steps=1000)
    train(model, tuning, tuning.optimizer(), batches(5))
    assert tuning.size() > 1.1 * tuning.limit
    with pytest.warns(UserWarning, match="5 of 1000 steps"):
        data = tuning.compress()
    assert 0.9 * tuning.limit < len(data) <= tuning.limit
    assert error(network(), data) < 0.5
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in _matrices(data))


def test_the_size_told_is_that_of_the_file() -> None:
    model = network()
    tuning = FineTuning(model, BitsPerWeight(3), steps=5, recipe=Recipe(head_start=-0.2))
    train(model, tuning, tuning.optimizer(), batches(5))
    told = tuning.size()
    assert told <= tuning.limit
    assert told == len(tuning.compress())


def test_a_labelled_loss_of_ones_own() -> None:
    model = network()
    tuning = FineTuning(model, BitsPerWeight(2), steps=60, recipe=FAST)
    optimizer = tuning.optimizer()
    for x in batches(60):
        loss = (model(x) - x[:, :6]).square().mean() + tuning.rate()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert len(tuning.compress()) <= tuning.limit


def test_learning_rates_go_up_and_down_to_zero_and_centers_have_their_own() -> None:
    model = network()
    tuning = FineTuning(model, BitsPerWeight(2), steps=40, recipe=Recipe(warm_up=0.25))
    optimizer = tuning.optimizer()
    seen = []
    for x in batches(40):
        seen.append([group["lr"] for group in optimizer.param_groups])
        train(model, tuning, optimizer, [x])
    weights = [rate for rate, _ in seen]
    assert max(weights) == max(weights[8:12])
    assert weights[0] < 0.2 * max(weights)
    assert weights[-1] == 0
    assert all(c == pytest.approx(3 * w) for w, c in seen)
    assert len(optimizer.param_groups[1]["params"]) == 3
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_steps_are_those_of_the_optimizer_whatever_accumulates() -> None:
    model = network()
    tuning = FineTuning(model, BitsPerWeight(2), steps=10)
    optimizer = tuning.follow(torch.optim.SGD(tuning.parameter_groups(), momentum=0.9))
    for i, x in enumerate(batches(8)):
        (tuning.loss(model(x), x) / 4).backward()
        if i % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    assert tuning.step == 2
    again = tuning.optimizer()
    optimizer.step()  # no longer followed
    assert tuning.step == 2
    again.step()
    assert tuning.step == 3


def test_training_resumes_where_it_stopped() -> None:
    straight, data = network(), batches(20)
    tuning = FineTuning(straight, BitsPerWeight(2), steps=20)
    train(straight, tuning, tuning.optimizer(), data)

    half = network()
    tuning = FineTuning(half, BitsPerWeight(2), steps=20)
    optimizer = tuning.optimizer()
    train(half, tuning, optimizer, data[:11])
    saved = copy.deepcopy([half.state_dict(), optimizer.state_dict(), tuning.state_dict()])
    resumed = network()
    tuning = FineTuning(resumed, BitsPerWeight(2), steps=20)
    optimizer = tuning.optimizer()
    for thing, state in zip((resumed, optimizer, tuning), saved, strict=True):
        thing.load_state_dict(state)
    train(resumed, tuning, optimizer, data[11:])
    for name, value in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


# Networks as people have them


class Language(nn.Module):
    """An embedding that is the head too, a recurrent layer, outputs in a dict, keyword arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(60, 32)
        self.recurrent = nn.LSTM(32, 32, batch_first=True)
        self.head = nn.Linear(32, 60, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        return {"logits": self.head(self.recurrent(self.embedding(tokens))[0]), "tokens": tokens}


def test_tied_embeddings_and_recurrent_layers() -> None:
    torch.manual_seed(0)
    model, tokens = Language(), torch.randint(0, 60, (16, 9))
    teacher = copy.deepcopy(model)
    recipe = Recipe(divergence(), outputs=lambda result: result["logits"], head_start=0.1)
    tuning = FineTuning(model, BitsPerWeight(2), steps=80, recipe=recipe)
    optimizer = tuning.optimizer()
    for _ in range(80):
        loss = tuning.loss(model(tokens=tokens), tokens=tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    data = tuning.compress()
    assert 0.95 * tuning.limit < len(data) <= tuning.limit
    assert model.head.weight is model.embedding.weight
    restored = decompress(data)
    assert restored["head.weight"].data_ptr() == restored["embedding.weight"].data_ptr()
    assert torch.equal(restored["recurrent.weight_hh_l0"], model.recurrent.weight_hh_l0)
    assert relative_error(model(tokens)["logits"], teacher(tokens)["logits"]) < 0.3


def test_a_weight_under_weight_norm_is_quantized_as_it_comes_out() -> None:
    torch.manual_seed(0)
    norm = nn.utils.parametrizations.weight_norm
    model = nn.Sequential(norm(nn.Linear(12, 96)), nn.ReLU(), norm(nn.Linear(96, 6)))
    tuning = FineTuning(model, BitsPerWeight(2), steps=60, recipe=FAST)
    before = model[0].parametrizations.weight.original0.detach().clone()
    train(model, tuning, tuning.optimizer(), batches(60))
    assert not torch.equal(model[0].parametrizations.weight.original0, before)  # norms are trained
    data = tuning.compress()
    assert len(data) <= tuning.limit
    plain = nn.Sequential(nn.Linear(12, 96), nn.ReLU(), nn.Linear(96, 6))
    plain.load_state_dict(decompress(data))
    torch.testing.assert_close(plain(X), model(X), atol=0.05, rtol=0)  # biases are rounded
    assert isinstance(model[0].weight, nn.Parameter)


def test_the_older_weight_norm_is_told_what_to_do() -> None:
    with pytest.warns(FutureWarning):
        model = nn.Sequential(nn.utils.weight_norm(nn.Linear(12, 96)), nn.Linear(96, 6))
    with pytest.raises(InvalidInputError, match="parametrizations"):
        FineTuning(model, BitsPerWeight(2), steps=5)


def test_frozen_weights_are_as_they_were() -> None:
    """Adapters of low rank on a base that is frozen."""
    model = network()
    model[2].weight.requires_grad_(False)
    before = model[2].weight.clone()
    tuning = FineTuning(model, BitsPerWeight(6.5), steps=10, recipe=Recipe(head_start=-1.0))
    train(model, tuning, tuning.optimizer(), batches(10))
    assert torch.equal(model[2].weight, before)
    tuning.compress()
    assert torch.equal(model[2].weight, before)
    assert not model[2].weight.requires_grad


def test_bfloat16_and_autocast() -> None:
    model = network().to(torch.bfloat16)
    tuning = FineTuning(model, BitsPerWeight(2.5), steps=20, recipe=FAST)
    train(model, tuning, tuning.optimizer(), [x.bfloat16() for x in batches(20)])
    data = tuning.compress()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in _matrices(data))

    model = network()
    tuning = FineTuning(model, BitsPerWeight(2.5), steps=20, recipe=FAST)
    with torch.autocast("cpu", torch.bfloat16):
        train(model, tuning, tuning.optimizer(), batches(20))
    assert len(tuning.compress()) <= tuning.limit


# Loops that people have


@pytest.mark.filterwarnings("ignore")
def test_lightning(tmp_path: Path) -> None:
    lightning = pytest.importorskip("pytorch_lightning")

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()
            self.tuning = FineTuning(self.model, BitsPerWeight(2), steps=24, recipe=FAST)

        def training_step(self, batch: list[Tensor]) -> Tensor:
            return self.tuning.loss(self.model(batch[0]), batch[0])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return self.tuning.optimizer()

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        max_epochs=3, accelerator="cpu", default_root_dir=tmp_path, enable_model_summary=False, **quiet
    )
    module = Module()
    trainer.fit(module, DataLoader(TensorDataset(X), 64))
    assert module.tuning.step == 24
    assert len(module.tuning.compress()) <= module.tuning.limit


@pytest.mark.filterwarnings("ignore")
def test_accelerate() -> None:
    accelerate = pytest.importorskip("accelerate")
    model = network()
    tuning = FineTuning(model, BitsPerWeight(2), steps=24, recipe=FAST)
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    prepared, optimizer, loader = accelerator.prepare(
        model, tuning.optimizer(), DataLoader(TensorDataset(X), 64)
    )
    for _ in range(6):
        for (x,) in loader:
            with accelerator.accumulate(prepared):
                accelerator.backward(tuning.loss(prepared(x), x))
                optimizer.step()
                optimizer.zero_grad()
    assert tuning.step == 24
    assert len(tuning.compress()) <= tuning.limit


WORKER = """
import sys, torch
from torch import nn
from barycode.weights import BitsPerWeight
from barycode.weights.soft_to_hard import FineTuning, Recipe

rank, world, store, order, out = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
torch.distributed.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=world)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(12, 96), nn.ReLU(), nn.Linear(96, 6)).double()
x = torch.randn(64, 12, dtype=torch.double)
if order == "before":
    wrapped = nn.parallel.DistributedDataParallel(model)
    tuning = FineTuning(wrapped, BitsPerWeight(2), steps=4, recipe=Recipe(head_start=0.0))
else:
    tuning = FineTuning(model, BitsPerWeight(2), steps=4, recipe=Recipe(head_start=0.0))
    wrapped = nn.parallel.DistributedDataParallel(model)
optimizer = tuning.optimizer()
for _ in range(4):
    own = x[rank::world]
    loss = tuning.loss(wrapped(own), own)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
torch.save(tuning.model.state_dict() if order == "after" else wrapped.module.state_dict(), f"{out}-{rank}")
open(f"{out}-{rank}.bary", "wb").write(tuning.compress())
"""


def _processes(folder: Path, world: int, order: str) -> list[dict[str, Tensor]]:
    out = folder / f"{order}{world}"
    script = folder / "worker.py"
    script.write_text(WORKER)
    started = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(world), f"{out}-store", order, str(out)],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path("src").resolve())},
        )
        for rank in range(world)
    ]
    assert [process.wait(900) for process in started] == [0] * world
    files = {Path(f"{out}-{rank}.bary").read_bytes() for rank in range(world)}
    assert len(files) == 1
    return [torch.load(f"{out}-{rank}") for rank in range(world)]


@pytest.mark.parametrize("order", ["before", "after"])
def test_two_processes_end_alike_whether_the_model_is_wrapped_before_or_after(tmp_path, order) -> None:
    one, other = _processes(tmp_path, 2, order)
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=0, atol=0)


# Requests that cannot be met


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda: FineTuning(network(), Lossless(), steps=5), "BitsPerWeight"),
        (lambda: FineTuning(network(), BitsPerWeight(2), steps=0), "1 or more"),
        (lambda: FineTuning(network(), Size(300), steps=5), "too small"),
        (lambda: FineTuning(network(), BitsPerWeight(20), steps=5), "No grid"),
        (lambda: FineTuning(network().requires_grad_(False), Size(3000), steps=5), "nothing to quantize"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(act, sentence: str) -> None:
    with pytest.raises(InvalidInputError, match=sentence):
        act()


def test_a_refused_request_leaves_the_model_as_it_was() -> None:
    model = network()
    with pytest.raises(InvalidInputError):
        FineTuning(model, Size(300), steps=5)
    assert model.state_dict().keys() == network().state_dict().keys()


@pytest.mark.parametrize("student", [torch.ones(4, 3), {"a": torch.ones(4, 2, dtype=torch.int64)}, "nothing"])
def test_results_of_other_forms_are_refused(student) -> None:
    with pytest.raises(InvalidInputError, match="outputs"):
        relative_error(student, torch.ones(4, 2))


def test_a_single_output_has_no_divergence() -> None:
    with pytest.raises(InvalidInputError, match="relative_error"):
        divergence()(torch.ones(4, 1), torch.ones(4, 1))


def test_distances() -> None:
    one, other = torch.randn(5, 4), torch.randn(5, 4)
    assert relative_error((one, [other]), (one, [other])) == 0
    assert float(relative_error(2 * one, one)) == pytest.approx(1)
    assert float(divergence(3.0)(one, one)) == pytest.approx(0, abs=1e-6)
    p, q = (one / 2).softmax(-1), (other / 2).softmax(-1)
    expected = 4 * (q * (q / p).log()).sum(-1).mean()
    assert float(divergence(2.0)(one, other)) == pytest.approx(float(expected), rel=1e-4)
