"""Files of earlier versions open in every later one, to the same bits.

GENERATE_GOLDEN=1 writes new files; never replace one that a release has written.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from barycode.weights import (
    DEFAULT_RULES,
    Hardened,
    Lossless,
    MaxError,
    Quantize,
    RelativeError,
    Rule,
    Step,
    Vectors,
    compress,
    decompress,
)
from weights.networks import same

GOLDEN = Path(__file__).parent / "golden"
TARGETS = {
    "v2-lossless": Lossless(),
    "v2-step": Step(0.02),
    "v2-error": MaxError(0.004),
    "v2-vectors": Step(0.02),  # with balanced and leveled steps
    "v2-aside": RelativeError(0.05),
    "v2-blocks": RelativeError(0.05),
    "v2-fields": Lossless(),
    "v2-planes": Lossless("quick"),
    "v2-integers": Lossless(),
    "v2-ranks": Lossless("quick"),
}
RULES = {
    "v2-step": (
        *DEFAULT_RULES[:2],
        Rule("*", Quantize(2.0), "few entries", entries=2048),
        Rule("*", Quantize(), "all"),
    ),
    "v2-vectors": (Rule("conv*", Vectors(16, 3, 0.1), "code vectors"), *DEFAULT_RULES),
}
DIGESTS = {
    "v2-ranks": "21e230f66388935b26cd3c7d434cecce5838e120b16b38f6c73df48b561b3098",
    "v2-lossless": "d6e7d8ac10be74bebbbb3945d0432f8ce36c4376c64a4372b48386f428a35f47",
    "v2-step": "078edcd83f28dba70c02fc4966ae92e8f4d7fa3f016ba1c04df705ccedf78215",
    "v2-error": "7e8742b320fc11637ecd36c0549bcdc2e3adbf14e86c9ae85dbd55c59581a479",
    "v2-vectors": "d6a0281edd8621e36ee0df7a3d6b2d40329b83d3df1d4fef0ad920cff2625d58",
    "v2-aside": "580b42e84bbc042da4fd5ab223f7ab7f5cf7bd627f4226539f1eb9ea3910474f",
    "v2-blocks": "83a150b96b625b86c30823a9bc4ee14f533cb05c8b03c28269cb2d1d91fdd345",
    "v2-fields": "3d15ab272cdcd5004ac6c5f6563022d6ce73a5b9a759d8ff0ad6ecb848afee3d",
    "v2-planes": "3d15ab272cdcd5004ac6c5f6563022d6ce73a5b9a759d8ff0ad6ecb848afee3d",
    "v2-integers": "561d3da8ad4b53ecfc390325727f8e863992bbc8a091207c1d808e5e71ded80c",
}


def _state() -> dict[str, torch.Tensor]:
    """Integer arithmetic only, so that every machine starts from the same bits."""
    places = torch.arange(24 * 16 * 9, dtype=torch.int64)
    noise = (places * 2654435761 % 2**32 - 2**31).double() / 2**31
    weights = (noise**3 * (1 + places // 144 % 5)).float() / 16
    kernel = weights.reshape(24, 16, 3, 3)
    return {
        "conv.weight": kernel,
        "half.weight": kernel[:, :, 0].bfloat16(),
        "norm.weight": weights[:24] + 1,
        "norm.count": torch.tensor(7),
        "tied.weight": kernel,
        "hard.weight": torch.zeros(24, 64),
        "mask": places[:99] % 3 == 0,
    }


def _larger_state() -> dict[str, torch.Tensor]:
    """With matrices, whose columns are leveled."""
    places = torch.arange(40 * 32, dtype=torch.int64)
    matrix = ((places * 2654435761 % 2**32 - 2**31).double() / 2**31 * (1 + places % 32) / 64).float()
    return _state() | {"linear.weight": matrix.reshape(40, 32)}


def _state_with_asides() -> dict[str, torch.Tensor]:
    """With outliers, what is not finite, tables, and types without arithmetic."""
    state = _larger_state()
    matrix = state["linear.weight"].clone()
    matrix[3, 5], matrix[7, 1], matrix[39, 31] = 1e30, torch.inf, torch.nan
    counts = (torch.arange(60 * 20) * 40503 % 977 % 7).reshape(60, 20)
    bytes_ = (torch.arange(480) * 97 % 251).to(torch.uint8)
    return state | {
        "linear.weight": matrix,
        "counts": counts.float(),
        "timesteps": torch.arange(999.0, -1.0, -1.0),
        "scales": bytes_.view(torch.float8_e8m0fnu),
        "pairs": bytes_.reshape(24, 20).view(torch.float4_e2m1fn_x2),
    }


def _state_of_several_parts() -> dict[str, torch.Tensor]:
    """Large, and small in a file: an index, a tensor cut by rows, another behind it."""
    places = torch.arange(1200 * 1024)
    return _larger_state() | {
        "large": (places // 4096).to(torch.int16).reshape(1200, 4, 256),
        "after": _larger_state()["linear.weight"] * 3,
    }


def _state_of_many_floats() -> dict[str, torch.Tensor]:
    """Enough of each type for tables of its own, zeros and far exponents among them; integers and bytes."""
    places = torch.arange(130 * 131).reshape(130, 131)
    values = ((places * 40503 % 65521) / 65521 - 0.5) * 2.0 ** (places % 7)
    values[::13, 5], values[3, ::17] = 0, 1e-30
    state = {str(dtype): values.to(dtype) for dtype in (torch.float32, torch.bfloat16, torch.float16)}
    codes = (places * 97 % 251 - 125).to(torch.int8)
    return _state() | state | {"codes": codes, "flags": codes > 20}


def _state_of_many_integers() -> dict[str, torch.Tensor]:
    """Enough integers of all magnitudes for lanes of their own, signed and not."""
    drawn = np.random.RandomState(0).laplace(0, 3000, (130, 131))  # whose stream never changes
    numbers = torch.from_numpy(np.round(drawn)).long().clamp(-40_000, 40_000)
    return _state() | {"signed": numbers.int(), "unsigned": numbers.abs().to(torch.uint16)}


def _state_of_rounded_floats() -> dict[str, torch.Tensor]:
    """Numbers whose low bytes have two, three and sixteen values."""
    places = torch.arange(130 * 131, dtype=torch.int64)
    bits = places * 2654435761 % 2**23
    patterns = {"two": bits & ~127, "sixteen": bits & ~15, "three": bits & ~255 | places % 3}
    rounded = {name: (low + 2**29).int().view(torch.float32) for name, low in patterns.items()}
    return _state() | rounded


STATES = {
    "v2-ranks": _state_of_rounded_floats,
    "v2-integers": _state_of_many_integers,
    "v2-fields": _state_of_many_floats,
    "v2-planes": _state_of_many_floats,
    "v2-vectors": _larger_state,
    "v2-aside": _state_with_asides,
    "v2-blocks": _state_of_several_parts,
}


def _states(name: str) -> dict[str, torch.Tensor]:
    return STATES.get(name, _state)()


def _hardened() -> dict[str, Hardened]:
    indices = (torch.arange(24 * 64) * 40503 % 65536 // 7000 % 5).reshape(24, 64)
    return {"hard.weight": Hardened(indices, torch.tensor([0.5, -0.25, 0.0, 0.125, 1.0]))}


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    whole = hashlib.sha256()
    for name, tensor in tensors.items():
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


@pytest.mark.skipif("GENERATE_GOLDEN" not in os.environ, reason="writes golden files on request only")
@pytest.mark.parametrize("name", TARGETS)
def test_generate(name):
    GOLDEN.mkdir(exist_ok=True)
    rules = RULES.get(name, DEFAULT_RULES)
    data = compress(
        _states(name), TARGETS[name], rules=rules, hardened=_hardened(), metadata={"made": "for good"}
    )
    (GOLDEN / f"{name}.bary").write_bytes(data)
    assert _digest(decompress(data)) == DIGESTS.get(name)


@pytest.mark.parametrize("name", TARGETS)
def test_old_files_open(name):
    tensors = decompress((GOLDEN / f"{name}.bary").read_bytes())
    assert tensors["tied.weight"] is tensors["conv.weight"]
    assert _digest(tensors) == DIGESTS[name]


def test_the_lossless_one_is_what_went_in():
    tensors = decompress((GOLDEN / "v2-lossless.bary").read_bytes())
    for name, tensor in _state().items():
        before = _hardened()[name].tensor() if name in _hardened() else tensor
        assert same(tensors[name], before), name
