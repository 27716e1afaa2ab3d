"""Encoders and decoders outside PyTorch: exported with a dynamic batch, ONNX Runtime gives the same codes."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from barycode.quantizers import (
    AffineVectorQuantizer,
    BeamSearch,
    FiniteScalarQuantizer,
    ProductQuantizer,
    Quantizer,
    ResidualQuantizer,
    SharedStages,
    SoftConvexQuantizer,
    SoftToHardQuantizer,
    VectorQuantizer,
)

KINDS = {
    "vector": partial(VectorQuantizer, 300, 8),
    "affine": partial(AffineVectorQuantizer, 64, 8),
    "finite_scalar": partial(FiniteScalarQuantizer, 240, 3),
    "soft_to_hard": partial(SoftToHardQuantizer, 64, 8),
    "convex": partial(SoftConvexQuantizer, 64, 8),
    "residual": partial(ResidualQuantizer, 64, 8, stages=3),
    "residual_shared": partial(ResidualQuantizer, 64, 8, stages=SharedStages(2)),
    "residual_beam": partial(ResidualQuantizer, 64, 8, stages=3, search=BeamSearch(4)),
    "product": partial(ProductQuantizer, 64, 8, groups=2),
}
DYNAMIC = torch.export.Dim.DYNAMIC


class Half(nn.Module):
    """The encoder or the decoder of a quantizer, as a module of its own."""

    def __init__(self, quantizer: Quantizer, half: str) -> None:
        super().__init__()
        self.quantizer, self.half = quantizer, half

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return getattr(self.quantizer, self.half)(x)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("half", ["encode", "decode"])
@pytest.mark.parametrize("kind", KINDS)
def test_onnx_runtime_agrees_at_every_batch_size(kind: str, half: str, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    quantizer = KINDS[kind]().eval()

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
        assert torch.equal(program.module()(x), expected)
        (found,) = session.run(None, {name: x.numpy()})
        np.testing.assert_array_equal(found, expected.numpy())
