import math

import pytest
import torch

from barycode.weights import DEFAULT_RULES, Keep, Quantize, Rule, Step, decompress, explain
from barycode.weights.allocation.measure import measure
from barycode.weights.allocation.step_shares import shares
from barycode.weights.checkpoints.sources import StateDict
from barycode.weights.file_format.writer import Settings
from barycode.weights.quantization.quantize import Budget


def _state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    table = torch.randn(900, 32, generator=generator)
    return {
        "table": table,
        "tied": table,
        "small": 0.1 * torch.randn(32, 32, generator=generator),
        "kept": torch.randn(64, 64, generator=generator),
        "hard": torch.zeros(32, 32),
        "zeros": torch.zeros(32, 32),
        "bias": torch.randn(32, generator=generator),
    }


RULES = (Rule("kept", Keep(), "kept"), *DEFAULT_RULES)


def _shares(state, rules, hardened=()):
    source = StateDict(state)
    settings = Settings(Budget(1.0), rules, dict.fromkeys(hardened), measured=measure(source))
    return shares(settings.quantized(source.directory), settings.measured)


def test_shares_go_with_norms_and_leave_the_mean():
    state = _state()
    found = _shares(state, RULES, ["hard"])
    assert found.keys() == {"table", "small"}
    norms = {name: float(state[name].double().norm()) for name in found}
    assert found["table"] / found["small"] == pytest.approx(norms["table"] / norms["small"])
    logs = sum(state[name].numel() * math.log(share) for name, share in found.items())
    assert logs == pytest.approx(0, abs=1e-6)


def test_one_entry_moves_no_share():
    state = _state()
    before = _shares(state, RULES)
    state["small"][3, 4] = 1e30
    assert _shares(state, RULES) == pytest.approx(before, rel=0.1)


def test_without_balance_every_step_is_the_same():
    assert _shares(_state(), (Rule("*", Quantize(3.0), "finer"),)) == {}


def test_balance_lowers_the_sum_of_relative_errors():
    """At the same step on the geometric mean, so at about the same rate."""
    state = {name: _state()[name] for name in ("table", "small")}
    outcomes = []
    for balanced in (False, True):
        compressed = explain(state, Step(0.1), rules=(Rule("*", Quantize(balanced=balanced), "all"),))
        relative = sum(outcome.noise / outcome.signal for outcome in compressed.report.tensors)
        outcomes.append((compressed.report.size, relative))
    (plain_size, plain), (balanced_size, balanced) = outcomes
    assert balanced < 0.8 * plain
    assert balanced_size == pytest.approx(plain_size, rel=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_leveled_column_errs_as_it_is_large(dtype):
    generator = torch.Generator().manual_seed(6)
    sizes = 2.0 ** torch.arange(-4, 4).repeat(8)
    matrix = (torch.randn(256, 64, generator=generator) * sizes).to(dtype)
    after = decompress(explain({"m": matrix}, Step(1.0), rules=_leveled(True)).data)["m"]
    errors = (after.double() - matrix.double()).square().mean(0).sqrt() / sizes
    assert after.dtype == dtype
    assert float(errors.max() / errors.min()) < 2.0
    plain = decompress(explain({"m": matrix}, Step(1.0), rules=_leveled(False)).data)["m"]
    unequal = (plain.double() - matrix.double()).square().mean(0).sqrt() / sizes
    assert float(unequal.max() / unequal.min()) > 4.0


def _leveled(leveled: bool) -> tuple[Rule, ...]:
    return (Rule("*", Quantize(leveled=leveled), "matrix"),)
