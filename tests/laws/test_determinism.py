"""Law 3 in processes of their own: instruction sets, threads and the ambient state of PyTorch change nothing.

Networks and codes come back to the bit. Pictures have the same codes, without which they would be refused or
noise; their pixels are rounded from floats, and may be off by one in a few of a million samples. What is
encoded is the same under every ambient state; over instruction sets encoders may differ.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from barycode.images import compress as compress_picture
from barycode.training.autoencoders.codes import pack_codes
from barycode.weights import Lossless, Step
from barycode.weights import compress as compress_network
from laws.decode_everything import QUANTIZERS, quantizer_of
from scenes import scene

HERE = Path(__file__).parent
TINY = HERE.parent / "images" / "golden" / "tiny.safetensors"
INSTRUCTIONS = {
    "default": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "mkl": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "MKL_CBWR": "COMPATIBLE"},
}
AMBIENT = (
    "autocast", "inference", "meta", "float64", "denormals", "deterministic", "matmul", "threads",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, two networks, and the codes of every kind of quantizer."""
    folder = tmp_path_factory.mktemp("files")
    shutil.copy(TINY, folder / "model.safetensors")
    for name, quality in (("low", 1.5), ("high", 4.5)):
        data = compress_picture(scene(75, 133, seed=7), quality=quality, model=folder / "model.safetensors")
        (folder / f"picture-{name}.bary").write_bytes(data)
    generator = torch.Generator().manual_seed(0)
    state = {
        "linear.weight": torch.randn(64, 48, generator=generator) / 16,
        "half.weight": torch.randn(96, 64, generator=generator).bfloat16(),
        "bias": torch.randn(64, generator=generator),
        "count": torch.tensor(7),
    }
    for name, target in (("exact", Lossless()), ("step", Step(0.02))):
        (folder / f"network-{name}.bary").write_bytes(compress_network(state, target))
    for name in QUANTIZERS:
        quantizer = quantizer_of(name)
        indices = quantizer.encode(torch.randn(5, 20, quantizer.dim, generator=generator))
        (folder / f"codes-{name}.bary").write_bytes(pack_codes(quantizer, indices))
    return folder


def decode(folder: Path, changes: dict[str, str], *settings: str) -> None:
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    # Threads that wait for each other sleep: they have less than a processor each on a busy machine.
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    environment = os.environ | threads | {"PYTHONPATH": path} | changes
    command = [sys.executable, str(HERE / "decode_everything.py"), str(folder), *settings]
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr


def arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"{name}.npz") as found:
        return dict(found)


@pytest.fixture(scope="module")
def reference(folder: Path) -> dict[str, np.ndarray]:
    """What a plain process decodes; the ambient settings follow in the same one."""
    decode(folder, {}, "plain", *AMBIENT)
    return arrays(folder, "plain")


@pytest.mark.parametrize("setting", AMBIENT)
def test_ambient_state_changes_nothing(setting: str, folder: Path, reference: dict) -> None:
    compare(arrays(folder, setting), reference)
    compare(arrays(folder, f"{setting}-after"), reference)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instruction_sets_change_nothing(name: str, folder: Path, reference: dict, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "files")
    decode(tmp_path / "files", INSTRUCTIONS[name], "plain")
    compare(decoded(arrays(tmp_path / "files", "plain")), decoded(reference))


def decoded(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in found.items() if not name.startswith("encoded")}


def compare(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        if not name.startswith("picture"):
            assert np.array_equal(found[name], array), name
            continue
        difference = np.abs(found[name].astype(int) - array.astype(int))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3
