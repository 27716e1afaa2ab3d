import subprocess
import sys

import pytest

from barycode import __version__

COMMANDS = ("compress", "decompress", "info", "train", "evaluate", "bench", "env")


def test_help_names_every_command(run):
    outcome = run("--help")
    assert outcome.code == 0
    for command in COMMANDS:
        assert command in outcome.out


@pytest.mark.parametrize("command", [*([c] for c in COMMANDS if c != "train"), ["train", "images"]])
def test_every_command_teaches_by_example(run, command):
    outcome = run(*command, "--help")
    assert outcome.code == 0
    assert f"barycode {' '.join(command)}" in " ".join(outcome.out.split())


def test_version(run):
    assert run("--version").out == f"barycode {__version__}\n"


def test_help_does_not_wait_for_torch():
    """In a process of its own, since this one has imported everything."""
    code = (
        "import sys; from barycode.cli import main; "
        "print([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_env_is_a_block_for_a_bug_report(run):
    outcome = run("env")
    assert outcome.code == 0
    names = [line.split(":")[0] for line in outcome.out.splitlines()]
    assert names[:3] == ["- Barycode", "- Python", "- Platform"]
    assert "- torch" in names
    assert "- constriction" in names


def test_a_missing_extra_is_named(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)
    for name in [name for name in sys.modules if name.startswith("barycode.evaluation")]:
        monkeypatch.delitem(sys.modules, name)
    outcome = run("evaluate", tmp_path)
    assert outcome.code == 1
    assert outcome.err == "barycode: this command needs pytorch_msssim: pip install 'barycode[evaluation]'\n"


def test_the_package_runs_as_a_module():
    found = subprocess.run(
        [sys.executable, "-m", "barycode", "--help"], capture_output=True, text=True, check=True
    )
    assert "compress" in found.stdout
