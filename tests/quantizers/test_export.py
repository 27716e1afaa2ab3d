"""Encoders and decoders outside PyTorch: exported with a dynamic batch, ONNX Runtime gives the same codes.

Every quantizer of the library can; `torch.compile(fullgraph=True)` in training is a law of `tests/laws`.
"""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from barycode import quantizers
from barycode.quantizers import Quantizer
from quantizer_kinds import QUANTIZERS

COMPUTED = ("vector_cosine", "projected")  # their decoders compute, and every library rounds in its own way
DYNAMIC = torch.export.Dim.DYNAMIC
SIZE, DIM = 256, 8  # a size that nearest code vectors are searched for in runs


class Half(nn.Module):
    """The encoder or the decoder of a quantizer, as a module of its own."""

    def __init__(self, quantizer: Quantizer, half: str) -> None:
        super().__init__()
        self.quantizer, self.half = quantizer, half

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return getattr(self.quantizer, self.half)(x)


def test_every_public_quantizer_is_tried():
    public = {
        value
        for value in vars(quantizers).values()
        if inspect.isclass(value) and issubclass(value, Quantizer) and not inspect.isabstract(value)
    }
    assert {type(make(codebook_size=16, dim=4)) for make in QUANTIZERS.values()} == public


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("half", ["encode", "decode"])
@pytest.mark.parametrize("kind", QUANTIZERS)
def test_onnx_runtime_agrees_at_every_batch_size(kind: str, half: str, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    quantizer = QUANTIZERS[kind](codebook_size=SIZE, dim=DIM).eval()

    def example(*shape: int) -> torch.Tensor:
        z = torch.randn(*shape, quantizer.dim)
        return z if half == "encode" else quantizer.encode(z)

    module = Half(quantizer, half)
    program = torch.export.export(module, (example(6, 5),), dynamic_shapes=({0: DYNAMIC, 1: DYNAMIC},))
    path = tmp_path / "half.onnx"
    torch.onnx.export(program, dynamo=True, verbose=False).save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = (entry.name for entry in session.get_inputs())
    for shape in ((1, 1), (1, 7), (30, 1), (3, 2000)):
        x = example(*shape)
        expected = module(x).detach()
        (found,) = session.run(None, {name: x.numpy()})
        close = 1e-6 if half == "decode" and kind.startswith(COMPUTED) else 0.0
        for values in (program.module()(x).detach().numpy(), found):
            np.testing.assert_allclose(values, expected.numpy(), rtol=close, atol=close)
