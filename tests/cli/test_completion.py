"""Tab completion, asked by the scripts and pressed in real shells."""

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest

PROGRAM = "import sys; from barycode.cli.main import run; sys.argv[0] = 'barycode'; run()"
BELL = b"\a"
PATIENCE = 60  # seconds
DRAWING = re.compile(rb"\x1b(\[[0-9;?]*[A-Za-z]|[=>])")  # what a terminal does with its cursor and colours


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_ask_the_program(shell):
    """The script that `--show-completion` prints asks the program, and it answers with its commands."""
    asked = {
        **os.environ,
        "_BARYCODE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "barycode com",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "barycode com",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=asked, capture_output=True, text=True, check=False
    )
    assert "compress" in done.stdout
    assert "decompress" not in done.stdout


class Terminal:
    """An interactive shell at a terminal of its own."""

    def __init__(self, command, environment, folder):
        self.master, slave = pty.openpty()
        self.shell = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def read_until(self, awaited):
        """What is shown up to one of some texts; all that was shown where none of them ever is."""
        received, end = b"", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            shown = DRAWING.sub(b"", received)
            if any(text in shown for text in awaited):
                return shown
            if select.select([self.master], [], [], 1)[0]:
                with contextlib.suppress(OSError):
                    received += os.read(self.master, 4096)
        return DRAWING.sub(b"", received)

    def close(self):
        self.shell.kill()
        self.shell.wait()
        os.close(self.master)


@pytest.fixture(params=["bash", "zsh"])
def terminal(request, tmp_path):
    """A shell after `barycode --install-completion` and a restart."""
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"no {request.param} on this machine")
    program = tmp_path / "bin/barycode"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{PROGRAM}\n")
    program.chmod(0o755)
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TERM": "xterm",
        "SHELL": shell,
    }
    subprocess.run([shell, "-c", "barycode --install-completion; :"], env=environment, check=True)
    rc = tmp_path / f".{request.param}rc"
    with rc.open("a") as file:
        file.write("PS1='ready> '\n")
    (tmp_path / "photo.png").touch()
    opened = Terminal([shell, "-i"], environment, tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("begun", "rest"),
    [
        ("barycode com", b"press "),
        ("barycode train im", b"ages "),
        ("barycode compress --eff", b"ort "),
        ("barycode compress ph", b"oto.png "),
        ("barycode decompress x.bary -o ph", b"oto.png "),
    ],
)
def test_the_first_tab_completes(terminal, begun, rest):
    completed = begun.encode() + rest
    terminal.read_until([b"ready> "])
    terminal.type(f"{begun}\t")
    assert completed in terminal.read_until([completed, BELL])
