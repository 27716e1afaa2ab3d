"""The script of the page on many machines, started by the commands of that page."""

import re
import shlex
import socket
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import pytest
from PIL import Image

from guides import DOCS
from ranks import finish

pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with the extra scale")
PAGE = (DOCS / "how-to/many-machines.md").read_text()
COMMANDS = [
    block.replace("\\\n", " ")
    for block in re.findall(r"```sh\nOMP_NUM_THREADS=1 (torchrun .*?)```", PAGE, re.DOTALL)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Where the script and its pictures are."""
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "train.py").write_text(script)
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(
        np.random.default_rng(0).integers(0, 256, (20, 32, 48, 3), dtype=np.uint8)
    ):
        Image.fromarray(pixels).save(tmp_path / f"photos/{number}.png")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def launch(command: str, folder: Path) -> Popen[str]:
    words = shlex.split(command)
    assert words[0] == "torchrun"
    program = [sys.executable, "-m", "torch.distributed.run", *words[1:]]
    return Popen(program, cwd=folder, stdout=PIPE, stderr=PIPE, text=True)


def test_the_script_trains_on_two_processes(folder):
    with launch(COMMANDS[2], folder) as run:
        out, told = run.communicate()
    assert run.returncode == 0, told
    assert re.fullmatch(r"\(40, 0\.\d+\)\n", out)  # of rank 0 alone, as the bar
    assert told.count("steps that are left") == 1


def test_two_machines_meet_and_one_writes(folder, tmp_path):
    """Two torchruns, as on two machines, whose folders are their own."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command, _ = COMMANDS[1].replace("first:29500", f"localhost:{port}").split(" -m ")
    command = command.replace("--nproc-per-node 4", "--nproc-per-node 1") + " ../train.py"
    machines = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "photos").symlink_to(folder / "photos")
        machines.append(launch(command, folder / name))
    for run in machines:
        finish(run)
    assert sum((folder / name / "runs").exists() for name in ("a", "b")) == 1


def test_the_page_starts_the_program_that_there_is():
    for command in COMMANDS[:2]:
        assert shlex.split(command)[-7:] == shlex.split("-m barycode train images photos/ -o runs/photos")
