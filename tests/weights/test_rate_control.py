"""A size that is asked for is filled, whatever the mixture, and no tensor decides for the others."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barycode.errors import InvalidInputError
from barycode.weights import BitsPerWeight, RelativeError, Size, codec, compress, decompress, explain
from barycode.weights.allocation.rate_control import WRITES


def _bulk_error(before: torch.Tensor, after: torch.Tensor) -> float:
    """Of the entries that are neither infinite nor among the largest hundredth."""
    before, after = before.double().flatten(), after.double().flatten()
    usual = before.abs() <= before[before.isfinite()].abs().quantile(0.99)
    return float(((before - after)[usual].square().sum() / before[usual].square().sum()).sqrt())


def _embedding(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(900, 48, generator=generator)


def _lora(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(16, 1024, generator=generator) * 1e-4


def _outlier(generator: torch.Generator) -> torch.Tensor:
    weights = torch.randn(128, 128, generator=generator) * 0.05
    weights[3, 5] = 1e30
    return weights


def _not_finite(generator: torch.Generator) -> torch.Tensor:
    weights = torch.randn(160, 100, generator=generator) * 0.02
    weights[0, 1], weights[7, 7] = torch.nan, -torch.inf
    return weights


def _mask(_: torch.Generator) -> torch.Tensor:
    return torch.triu(torch.full((128, 128), -1e4), 1)


def _counts(generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 3000, (64, 64), generator=generator).float()


def _heavy(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(256, 64, generator=generator).pow(3) * 30


def _sparse(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(128, 128, generator=generator) * (torch.rand(128, 128, generator=generator) < 0.05)


def _cauchy(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(128, 96, generator=generator) / torch.randn(128, 96, generator=generator)


def _kernel(generator: torch.Generator) -> torch.Tensor:
    return (torch.randn(32, 32, 3, 3, generator=generator) * 0.03).bfloat16()


def _zeros(_: torch.Generator) -> torch.Tensor:
    return torch.zeros(64, 64)


KINDS = [_embedding, _lora, _outlier, _not_finite, _mask, _counts, _heavy, _kernel, _zeros, _sparse, _cauchy]


def _state(kinds: list, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = {f"{place}{kind.__name__}": kind(generator) for place, kind in enumerate(kinds)}
    return state | {"base": torch.randn(300, 200, generator=generator) * 0.04}


@given(st.lists(st.sampled_from(KINDS), max_size=5), st.sampled_from([2.5, 4.0, 6.0, 7.5]), st.integers(0, 9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mixture_fills_its_size_in_few_writes(monkeypatch, kinds, bits, seed):
    state, writes = _state(kinds, seed), []
    whole = codec._write
    monkeypatch.setattr(codec, "_write", lambda *given: writes.append(1) or whole(*given))
    compressed = explain(state, BitsPerWeight(bits))
    monkeypatch.undo()
    limit = compressed.report.limit
    assert len(writes) <= WRITES
    assert limit is not None
    assert 0.98 * limit <= len(compressed.data) <= limit or not compressed.report.max_error
    after = decompress(compressed.data)
    for name, tensor in state.items():
        if tensor.abs().sum() > 0:
            assert _bulk_error(tensor, after[name]) < 0.5, name


@pytest.mark.parametrize("scale", [1e-6, 30.0, 100.0, 1e6])
def test_no_tensor_decides_the_step_of_another(scale):
    state = {"a": torch.randn(256, 256), "b": torch.randn(256, 256) * scale}
    for target in (BitsPerWeight(4), Size(65536), RelativeError(0.07)):
        after = decompress(compress(state, target))
        assert all(_bulk_error(state[name], after[name]) < 0.09 for name in state)


@pytest.mark.parametrize("value", [1e30, -1e30, torch.inf, -torch.inf, torch.nan])
def test_an_outlier_costs_its_own_entry(value):
    plain = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    spoiled = plain.clone()
    spoiled[17, 4] = value
    before, after = explain({"w": plain}), explain({"w": spoiled})
    assert len(after.data) < len(before.data) + 60
    back = decompress(after.data)["w"]
    assert torch.equal(back[17, 4].view(torch.int32), spoiled[17, 4].view(torch.int32))
    assert _bulk_error(plain, torch.where(spoiled == plain, back, plain)) < 0.025


def test_a_large_network_fills_its_size():
    generator = torch.Generator().manual_seed(1)
    state = {f"w{n}": torch.randn(900, 900, generator=generator) * 10.0 ** (n - 1) for n in range(3)}
    report = explain(state, BitsPerWeight(3)).report
    assert 0.98 * report.limit <= report.size <= report.limit


def test_what_cannot_be_met_is_an_error_and_what_cannot_be_filled_a_warning():
    integers = {"q": torch.randint(-128, 128, (200, 200), dtype=torch.int8)}
    with pytest.raises(InvalidInputError, match=r"do not fit 1,000 bytes.*--lossless"):
        compress(integers, Size(1000))
    report = explain(integers, Size(10**6)).report
    assert any("bytes that were asked for" in told for told in report.warnings)
    network = {"w": torch.randn(300, 300)}
    crushed = explain(network, BitsPerWeight(0.2)).report
    assert any("half their own size" in told for told in crushed.warnings)
    assert not explain(network, BitsPerWeight(4)).report.warnings
