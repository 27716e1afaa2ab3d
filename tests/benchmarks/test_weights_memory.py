"""The made-up checkpoint, and one way through the command line at a small size."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).parents[2] / "benchmarks/weights_memory.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("weights_memory", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "weights_memory", module)
    spec.loader.exec_module(module)
    return module


def test_the_whole_checkpoint_has_the_embedding_and_the_size_that_it_says(script):
    tensors = script.layout(script.WHOLE)
    assert tensors[0].shape == (131072, 4096)
    assert sum(tensor.nbytes for tensor in tensors) == pytest.approx(script.WHOLE * 1e6, rel=0.06)
    sizes = {dtype: sum(t.nbytes for t in tensors[1:] if t.dtype == dtype) for dtype in script.KINDS}
    assert all(size > 0.2 * sum(sizes.values()) for size in sizes.values())


def test_a_seed_makes_the_same_checkpoint_again(script, tmp_path):
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        script.write_checkpoint(tmp_path / name, 3, seed)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "same").read_bytes()
    assert (tmp_path / "one").read_bytes() != (tmp_path / "other").read_bytes()
    tensors = load_file(tmp_path / "one")
    assert [tuple(tensors[t.name].shape) for t in script.layout(3)] == [t.shape for t in script.layout(3)]
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32, torch.bfloat16}


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are measured as Linux tells them")
def test_rows_of_a_few_megabytes(script, tmp_path):
    there, back = script.rows(3, ["quick"], tmp_path)
    assert there["direction"] == "compress"
    assert back["direction"] == "decompress"
    assert there["file MB"] < there["megabytes"] == pytest.approx(3, rel=0.3)
    assert 0 < there["above imports MB"] < 100
