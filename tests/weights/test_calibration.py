"""Calibration: statistics against direct computations, and files whose networks move less."""

import pytest
import torch
from torch import nn

from barycode.errors import InvalidInputError
from barycode.weights import (
    Calibration,
    Lossless,
    MaxError,
    Size,
    Step,
    calibrate,
    compress,
    decompress,
)
from barycode.weights.calibration import LayerStatistics
from barycode.weights.entropy_coding import quantized


def correlated(count: int, size: int, seed: int = 0) -> torch.Tensor:
    """Inputs near one plane of eight dimensions, the same for any seed."""
    mixing = torch.randn(8, size, generator=torch.Generator().manual_seed(100))
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, size, generator=random)
    return torch.randn(count, 8, generator=random) @ mixing + 0.1 * noise


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(40, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))


def test_a_linear_layer_has_the_second_moments_of_its_inputs_and_rows_that_count_alike():
    layer, x = nn.Linear(6, 4), correlated(4000, 6)
    known = calibrate(layer, x, seed=1).layers["weight"]
    assert torch.allclose(known.moments[0], x.T @ x, rtol=1e-3)
    assert torch.allclose(known.rows, torch.ones(4), atol=0.25)  # the outputs are the rows' own


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, padding=1, stride=2),
        nn.Conv2d(4, 6, (3, 2), dilation=(2, 1), groups=2, bias=False),
        nn.Conv2d(4, 8, 3, padding="same", padding_mode="reflect", groups=4),
        nn.Conv1d(4, 6, 5, padding=2, groups=2, stride=2),
        nn.Conv1d(4, 6, 3, padding=1, padding_mode="circular"),
    ],
    ids=str,
)
def test_moments_of_convolutions_give_the_energy_of_their_outputs(layer):
    """sum over outputs of (E * x)^2 is sum_r E[r] moments[g] E[r]^T, for any weights E."""
    x = torch.randn(3, 4, *[9] * (layer.weight.ndim - 2))
    known = calibrate(layer, x).layers["weight"]
    with torch.no_grad():
        layer.bias = None
        energy = layer(x).transpose(0, 1).flatten(1).square().sum(1)
        rows = layer.weight.flatten(1).unflatten(0, (len(known.moments), -1))
        assert torch.allclose(torch.einsum("grj,gjk,grk->gr", rows, known.moments, rows).flatten(), energy)


@pytest.mark.parametrize("sizes", [{}, {"kdim": 5, "vdim": 7}], ids=["packed", "apart"])
def test_attention_has_moments_of_queries_keys_and_values(sizes):
    layer = nn.MultiheadAttention(8, 2, batch_first=True, **sizes)
    nn.init.normal_(layer.in_proj_bias)
    nn.init.normal_(layer.out_proj.bias)
    inputs = [torch.randn(2, 3, size) for size in (8, sizes.get("kdim", 8), sizes.get("vdim", 8))]
    known = calibrate(layer, [tuple(inputs)]).layers
    want = [x.flatten(0, 1).T @ x.flatten(0, 1) for x in inputs]
    if sizes:
        found = [known[f"{name}_proj_weight"].moments[0] for name in "qkv"]
    else:
        found = list(known["in_proj_weight"].moments)
    assert all(
        torch.allclose(one, other, rtol=1e-4, atol=1e-4) for one, other in zip(found, want, strict=True)
    )
    assert torch.allclose(
        known["out_proj.weight"].moments[0], heads_moments(layer, inputs), rtol=1e-4, atol=1e-4
    )


def heads_moments(layer: nn.MultiheadAttention, inputs: list[torch.Tensor]) -> torch.Tensor:
    """Second moments of softmax(q k^T / sqrt(d)) v of all heads side by side, from its definition."""
    packed = layer.in_proj_weight
    weights = (
        [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight] if packed is None else packed.chunk(3)
    )
    with torch.no_grad():
        q, k, v = (
            (x @ w.T + b).unflatten(-1, (layer.num_heads, -1)).transpose(1, 2)
            for x, w, b in zip(inputs, weights, layer.in_proj_bias.chunk(3), strict=True)
        )
        heads = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1) @ v
        x = heads.transpose(1, 2).flatten(2).flatten(0, 1)
        return x.T @ x


def test_rows_of_an_embedding_count_as_often_as_they_are_asked_for():
    rows = calibrate(nn.Embedding(10, 4), torch.tensor([[3, 3, 3, 3, 3, 3, 3, 1]])).layers["weight"].rows
    assert rows[3] > 5 * rows[1]
    assert rows[1] > rows[0] > 0


class Dictionary(nn.Module):
    """Keyword arguments in, nested outputs out, a frozen layer, a tied one, a recurrent one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 12)
        self.recurrent = nn.LSTM(12, 12, batch_first=True)
        self.head = nn.Linear(12, 20)
        self.head.weight = self.embedding.weight
        self.unused = nn.Linear(3, 3)
        self.recurrent.weight_hh_l0.requires_grad_(False)

    def forward(self, tokens: torch.Tensor) -> dict:
        states, _ = self.recurrent(self.embedding(tokens))
        return {"logits": self.head(states), "more": (states, tokens)}


def test_any_model_runs_and_is_left_as_it_was():
    model = Dictionary().train()
    model.head.eval()
    before = {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()}
    known = calibrate(model, [{"tokens": torch.randint(0, 20, (4, 7))} for _ in range(3)]).layers
    assert set(known) == {"embedding.weight", "recurrent.weight_ih_l0", "recurrent.weight_hh_l0"}
    assert known["embedding.weight"].moments.shape == (1, 12, 12)  # tied: the head tells more
    assert {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()} == before
    assert (model.training, model.head.training) == (True, False)
    assert not any(module._forward_pre_hooks for module in model.modules())
    state = model.state_dict()
    again = decompress(compress(state, Step(0.01), calibration=Calibration(known)))
    assert again.keys() == state.keys()


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [([], "no inputs"), (torch.full((4, 40), torch.nan), "no finite"), ([torch.zeros(0, 40)], None)],
)
def test_inputs_that_tell_nothing(inputs, sentence):
    model = network().train()
    if sentence is None:
        assert not calibrate(model, inputs).layers
        return
    with pytest.raises(InvalidInputError, match=sentence):
        calibrate(model, inputs)
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


def moved(model: nn.Module, data: bytes, x: torch.Tensor) -> float:
    """How far the outputs are off, to their own size."""
    with torch.no_grad():
        want = model(x)
        model.load_state_dict(decompress(data))
        return float((model(x) - want).square().mean() / want.square().mean())


def test_outputs_move_less_in_fewer_bytes():
    x, unseen = correlated(256, 40), correlated(500, 40, seed=1)
    state = network().state_dict()
    known = calibrate(network(), x)
    plain, chosen = compress(state, Step(0.03)), compress(state, Step(0.04), calibration=known)
    assert len(chosen) < len(plain)
    assert chosen == compress(state, Step(0.04), calibration=known)
    assert moved(network(), chosen, unseen) < 0.5 * moved(network(), plain, unseen)


@pytest.mark.parametrize("piece", [64, 2048])
def test_rows_across_pieces(monkeypatch, piece):
    monkeypatch.setattr(quantized, "PIECE", piece)
    x = correlated(64, 40)
    state = network().state_dict()
    plain = compress(state, Step(0.03))
    chosen = compress(state, Step(0.03), calibration=calibrate(network(), x))
    assert moved(network(), chosen, x) < 0.5 * moved(network(), plain, x)


@pytest.mark.parametrize("target", [Lossless(), MaxError(0.01)])
def test_targets_that_leave_nothing_to_choose(target):
    with pytest.raises(InvalidInputError, match=type(target).__name__):
        compress(network().state_dict(), target, calibration=calibrate(network(), correlated(32, 40)))


@pytest.mark.parametrize(
    "layers",
    [
        {},
        {"elsewhere": LayerStatistics(torch.ones(3))},
        {"0.weight": LayerStatistics(torch.ones(95))},
        {"0.weight": LayerStatistics(torch.ones(96), torch.eye(41)[None])},
    ],
)
def test_the_calibration_of_another_model(layers):
    with pytest.raises(InvalidInputError, match="calibration"):
        compress(network().state_dict(), Size(9000), calibration=Calibration(layers))


def test_inputs_that_are_always_zero_leave_weights_that_decode():
    x = correlated(64, 40)
    x[:, :20] = 0
    state = network().state_dict()
    found = decompress(compress(state, Step(0.02), calibration=calibrate(network(), x)))
    assert all(bool(tensor.isfinite().all()) for tensor in found.values())
    assert moved(network(), compress(state, Step(0.02), calibration=calibrate(network(), x)), x) < 0.1
