"""A disk that is full while a file is written: one line, an exit code, and no part of a file."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from barycode.training.checkpoints import Checkpoints
from faults.programs import MODEL, QUICK, run
from scenes import scene


def limited() -> None:
    """In the process to be: no file may grow beyond 300 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))


def require_one_line(code: int, told: str, name: str) -> None:
    assert code == 1
    (line,) = told.splitlines()
    assert line.startswith("barycode: ")
    assert name in line
    assert "File too large" in line or "No space left on device" in line
    assert "--debug" not in line


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "network.safetensors"
    save_file({"weight": torch.randn(64, 64, generator=torch.Generator().manual_seed(0))}, path)
    return path


def test_of_a_picture(tmp_path: Path) -> None:
    Image.fromarray(scene(90, 90)).save(tmp_path / "p.png")
    code, _, told = run("compress", tmp_path / "p.png", *QUICK, preexec_fn=limited)
    require_one_line(code, told, "p.bary")
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


def test_of_a_decoded_picture(compressed: Path, tmp_path: Path) -> None:
    code, _, told = run(
        "decompress", compressed / "0.bary", "-o", tmp_path / "p.png", "--model", MODEL, preexec_fn=limited
    )
    require_one_line(code, told, "p.png")
    assert list(tmp_path.iterdir()) == []


def test_of_a_network(network: Path, tmp_path: Path) -> None:
    code, _, told = run("compress", network, "--lossless", preexec_fn=limited)
    require_one_line(code, told, "network")
    assert [path.name for path in tmp_path.iterdir()] == [network.name]


def test_a_file_that_was_there_stays(compressed: Path, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"precious")
    command = ("decompress", compressed / "0.bary", "-o", tmp_path / "p.png", "--model", MODEL, "--force")
    assert run(*command, preexec_fn=limited)[0] == 1
    assert (tmp_path / "p.png").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


def test_of_a_checkpoint(tmp_path: Path) -> None:
    """The one before stays, and is the newest sound one."""
    script = """
import sys, torch
from pathlib import Path
from barycode.cli.program import run_script
from barycode.training.checkpoints import Checkpoints
def main(folder: Path) -> None:
    Checkpoints(folder).save(2, {"x": torch.zeros(4096)})
run_script(main)
"""
    Checkpoints(tmp_path).save(1, {"x": torch.ones(3)})
    code, _, told = run("-c", script, tmp_path, program=(sys.executable,), preexec_fn=limited)
    assert code == 1
    (line,) = told.splitlines()
    assert "step-00000002.safetensors cannot be written" in line
    assert "File too large" in line
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.safetensors"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("command", ["decompress", "info"])
def test_of_standard_output(compressed: Path, command: str) -> None:
    arguments = ("-o", "-", "--model", MODEL) if command == "decompress" else ()
    with Path("/dev/full").open("wb") as full:
        code, _, told = run(command, compressed / "0.bary", *arguments, stdout=full)
    require_one_line(code, told, "")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_of_a_small_disk(pictures: Path, small_disk: Path) -> None:
    """What fits is there and whole; what does not is named; a folder goes on."""
    Image.effect_noise((300, 300), 90).save(pictures / "2.ppm")
    code, printed, told = run("compress", pictures, "-o", small_disk, *QUICK, "-q", "5")
    assert "4 of 5 files done" in printed
    require_one_line(code, "\n".join(line for line in told.splitlines() if "barycode:" in line), "2.bary")
    assert sorted(path.name for path in small_disk.iterdir()) == ["0.bary", "1.bary", "3.bary", "4.bary"]
