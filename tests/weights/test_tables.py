"""Constants come back exactly, as long as they cost little; weights beside them do not."""

import numpy as np
import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.weights import (
    BitsPerWeight,
    Lossless,
    MaxError,
    RelativeError,
    Size,
    Step,
    compress,
    decompress,
    explain,
)
from barycode.weights.file_format.directory import Directory
from weights.networks import same

BASE = 10000.0
TABLES = {
    "inv_freq": 1 / BASE ** (torch.arange(0, 128, 2) / 128),
    "global_step": torch.tensor(123457.0),
    "timesteps": torch.arange(999, -1, -1).float(),
    "mean": torch.tensor([123.675, 116.28, 103.53]).reshape(3, 1, 1),
    "alphas_cumprod": torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0),
    "window": torch.hann_window(400),
    "bins": torch.logspace(-3, 3, 33)[None],
    "logit_scale": torch.tensor(4.6052),
    "attention mask": torch.triu(torch.full((1, 1, 64, 64), torch.finfo(torch.float32).min), 1),
    "window mask": torch.where(torch.arange(64 * 64).reshape(64, 64) % 5 == 0, -100.0, 0.0),
    "causal": torch.triu(torch.full((64, 64), -torch.inf), 1),
    "half": (1 / BASE ** (torch.arange(0, 64, 2) / 64)).half(),
    "double": torch.linspace(0, 1, 77, dtype=torch.float64),
}


@pytest.mark.parametrize("target", [None, BitsPerWeight(4), Size(150_000)], ids=str)
@pytest.mark.parametrize("name", TABLES)
def test_tables_are_exact(name, target):
    state = {"w": torch.randn(512, 512), name: TABLES[name], "bias": torch.randn(512)}
    compressed = explain(state, **({} if target is None else {"target": target}))
    after = decompress(compressed.data)
    assert same(after[name], TABLES[name])
    assert not same(after["w"], state["w"])
    assert not same(after["bias"], state["bias"])
    reports = {tensor.name: tensor for tensor in compressed.report.tensors}
    assert "table or constants" in reports[name].method
    assert reports[name].reason.startswith("a table or constants")


def test_tables_do_not_fill_the_file():
    """Whole numbers that are the network itself are weights."""
    state = {"w": torch.randint(-2000, 2000, (300, 300)).float()}
    report = explain(state, BitsPerWeight(4)).report
    assert 0.98 * report.limit <= report.size <= report.limit


FLOAT8 = [
    getattr(torch, name) for name in dir(torch) if name.startswith("float8") or name.startswith("float4")
]


@pytest.mark.parametrize("dtype", FLOAT8, ids=str)
@pytest.mark.parametrize("target", [None, Lossless()], ids=str)
def test_every_small_float_goes_through(dtype, target):
    raw = torch.randint(0, 256, (40, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    state = {"t": raw.view(dtype), "w": torch.randn(64, 64)}
    after = decompress(compress(state, **({} if target is None else {"target": target})))
    assert (after["t"].dtype, after["t"].shape) == (dtype, (40, 30))
    if target is not None or "e8m0" in str(dtype) or "float4" in str(dtype):
        assert same(after["t"], state["t"])


@pytest.mark.parametrize("target", [4, 4.0, "4", None, BitsPerWeight, True])
def test_what_is_no_target_is_refused(target):
    with pytest.raises(InvalidInputError, match="no target"):
        compress({"w": torch.randn(8, 8)}, target)


@pytest.mark.parametrize("value", ["4", None, True, float("nan"), float("inf"), -1, 0, 10**400, 1j])
@pytest.mark.parametrize("kind", [BitsPerWeight, Size, Step, MaxError, RelativeError])
def test_targets_are_checked(kind, value):
    if kind is Size and value == 10**400:
        return
    with pytest.raises(InvalidInputError, match=r"The target's .* is .*: expected a"):
        kind(value)


def test_numbers_of_numpy_are_numbers():
    assert Size(np.int64(1000)) == Size(1000)
    assert BitsPerWeight(np.float32(0.5)) == BitsPerWeight(0.5)
    with pytest.raises(InvalidInputError, match="number of bytes"):
        Size(2.5)


def test_tables_alone_are_exact():
    after = decompress(compress(TABLES))
    assert all(same(after[name], TABLES[name]) for name in TABLES)


def test_what_is_no_state_dict_is_refused():
    with pytest.raises(InvalidInputError, match="state_dict"):
        compress(torch.nn.Linear(3, 3))
    with pytest.raises(InvalidInputError, match="expected a text"):
        compress({1: torch.zeros(3)})
    with pytest.raises(InvalidInputError, match="surrogates"):
        compress({"\ud800": torch.zeros(3)})
    with pytest.raises(InvalidInputError, match="surrogates"):
        compress({"w": torch.zeros(3)}, metadata={"a": "\udfff"})
    with pytest.raises(InvalidInputError, match="texts by name"):
        compress({"w": torch.zeros(3)}, metadata={"a": 3})


@pytest.mark.parametrize("target", [Lossless(), RelativeError(0.02), Size(1000), MaxError(0.1)], ids=str)
@pytest.mark.parametrize("shape", [(1,) * 65, (0, 2**35)])
def test_what_the_reader_refuses_the_writer_does_not_write(shape, target):
    with pytest.raises(InvalidInputError, match="cannot hold"):
        compress({"w": torch.zeros(shape)}, target)


def test_too_much_text_is_refused():
    with pytest.raises(InvalidInputError, match="at most"):
        Directory((), {"a": "x" * 2**26}).to_bytes()
