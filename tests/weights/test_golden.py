"""Files of earlier versions open in every later one, to the same bits.

GENERATE_GOLDEN=1 writes new files; never replace one that a release has written.
"""

import hashlib
import os
from pathlib import Path

import pytest
import torch

from barycode.weights import (
    DEFAULT_RULES,
    Hardened,
    Lossless,
    MaxError,
    Quantize,
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
    "v2-lossless": "d6e7d8ac10be74bebbbb3945d0432f8ce36c4376c64a4372b48386f428a35f47",
    "v2-step": "078edcd83f28dba70c02fc4966ae92e8f4d7fa3f016ba1c04df705ccedf78215",
    "v2-error": "7e8742b320fc11637ecd36c0549bcdc2e3adbf14e86c9ae85dbd55c59581a479",
    "v2-vectors": "d6a0281edd8621e36ee0df7a3d6b2d40329b83d3df1d4fef0ad920cff2625d58",
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


def _states(name: str) -> dict[str, torch.Tensor]:
    return _state() if "vectors" not in name else _larger_state()


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
