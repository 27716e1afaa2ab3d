"""Checkpoints that are quantized already: whole numbers and what multiplies them, every bit."""

import pytest
import torch

from barycode.weights import BitsPerWeight, RelativeError, compress, decompress

KINDS = {
    "GPTQ": {"qweight": torch.int32, "qzeros": torch.int32, "scales": torch.float16},
    "int8 by channel": {"weight": torch.int8, "SCB": torch.float32},
    "compressed-tensors": {"weight_packed": torch.int32, "weight_scale": torch.bfloat16},
    "4 bits by block": {"weight": torch.uint8, "weight.absmax": torch.float32},
}


def tensor(dtype, shape):
    generator = torch.Generator().manual_seed(0)
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).abs().add(0.01).to(dtype)
    return torch.randint(0, 100, shape, generator=generator).to(dtype)


@pytest.mark.parametrize("target", [RelativeError(0.1), BitsPerWeight(12)], ids=str)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("module", ["model.layers.0.mlp", "up"])
def test_whole_numbers_and_their_scales_are_kept(kind, module, target):
    state = {
        f"{module}.{name}": tensor(dtype, (40, 96) if dtype.is_floating_point else (320, 96))
        for name, dtype in kind.items()
    }
    state["lm_head.weight"] = tensor(torch.float32, (64, 96))
    back = decompress(compress(state, target))
    kept = {name for name, value in state.items() if torch.equal(back[name], value)}
    assert kept >= state.keys() - {"lm_head.weight"}
    assert target != RelativeError(0.1) or "lm_head.weight" not in kept


def test_scales_that_are_named_after_their_numbers_are_kept():
    state = {
        "Conv_quantized": tensor(torch.int8, (64, 96)),
        "Conv_scale": tensor(torch.float32, (4, 96)),
        "weight": tensor(torch.float32, (40, 96)),
        "Gemm_scale": tensor(torch.float32, (40, 96)),
    }
    back = decompress(compress(state, RelativeError(0.1)))
    kept = {name for name, value in state.items() if torch.equal(back[name], value)}
    assert kept == {"Conv_quantized", "Conv_scale"}


def test_weights_beside_indices_are_weights():
    state = {
        "attention.relative_position_index": torch.arange(64 * 64).view(64, 64),
        "attention.table": tensor(torch.float32, (40, 96)),
        "attention.mask": tensor(torch.uint8, (20, 96)),  # smaller than what it would multiply
    }
    back = decompress(compress(state, RelativeError(0.1)))
    assert not torch.equal(back["attention.table"], state["attention.table"])
