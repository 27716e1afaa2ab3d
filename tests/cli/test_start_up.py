"""What answers at once does not load PyTorch, and nothing loads PyTorch's compiler."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "sympy", "torch._dynamo", "matplotlib")


def loaded(code: str, folder: Path | None = None) -> list[str]:
    """What a program prints, and then the heavy modules that it has loaded at its end."""
    program = f"import sys\n{code}\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=True
    )
    return found.stdout.split("\n")[-2].split()


CALLS = [
    (),
    ("--help",),
    ("--version",),
    ("compress", "--help"),
    ("train", "--help"),
    ("train", "images", "--help"),
    ("evaluate", "--help"),
    ("bench", "--help"),
    ("compress", "missing.png"),
    ("compress", "missing.png", "--lossless"),
    ("compress", "missing", "--engine", "local", "-o", "shards"),
    ("compress", "photo.png", "--quality", "9"),
    ("compress", "photo.png", "--model", "missing.safetensors"),
    ("decompress", "missing.bary"),
    ("decompress", "photo.png"),
    ("info", "missing.bary"),
    ("info", "photo.png"),
    ("train", "images", "missing"),
    ("train", "images", ".", "--recipe", "missing.toml"),
    ("evaluate", "missing"),
    ("bench", "pictures", "--picture", "missing.png"),
    ("bench", "networks", "--checkpoint", "missing.safetensors"),
]


CALL = """
from barycode.cli.main import run
sys.argv = ["barycode", *{call}]
try:
    run()
except SystemExit:
    pass
"""


def test_help_and_refusals_do_not_load_torch(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code = "".join(CALL.format(call=call) + f"assert 'torch' not in sys.modules, {call}\n" for call in CALLS)
    assert loaded(code, tmp_path) == []


def test_importing_the_package_does_not_load_torch():
    assert loaded("import barycode") == []


def test_a_picture_round_trip_does_not_load_the_compiler():
    code = "import numpy as n, barycode.images as i; i.decompress(i.compress(n.zeros((9, 8, 3), n.uint8)))"
    assert loaded(code) == ["torch"]


def test_a_network_round_trip_does_not_load_the_compiler():
    code = "import torch, barycode.weights as w; w.decompress(w.compress({'a': torch.ones(40, 30)}))"
    assert loaded(code) == ["torch"]
