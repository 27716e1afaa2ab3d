"""docs/tutorial.md from its first line to its last, with a step of training instead of hundreds."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

from barycode.cli import main
from guides import DOCS

PAGE = (DOCS / "tutorial.md").read_text()
PIECES = re.findall(r"<!-- (runs: \w+|file: [\w.]+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)


def test_every_block_is_run():
    marked = len(PIECES)
    assert marked == 6
    assert PAGE.count("```") == 2 * (marked + 1)  # and pip


def test_the_tutorial_runs(photo, monkeypatch, capsys):
    monkeypatch.setattr(importlib.import_module("barycode.training.images.train"), "TABLE_STEPS", (0,))
    monkeypatch.setattr(importlib.import_module("barycode.cli.train"), "REPORTED_QUALITIES", (1, 3, 5))
    Path("photos").mkdir()
    for number in range(10):
        photo.resize((200 + number, 200)).save(f"photos/{number}.png")
    scope: dict[str, object] = {}
    for kind, text in PIECES:
        if kind == "runs: python":
            exec(compile(text, "tutorial.md", "exec"), scope)
        elif kind == "runs: shell":
            _run(text, monkeypatch, capsys)
        else:
            Path(kind.removeprefix("file: ")).write_text(re.sub(r"steps = \d+", "steps = 1", text))
    assert Path("runs/mine/report").is_dir()
    assert Path("mine.bary").read_bytes() != Path("photo.bary").read_bytes()


def _run(text, monkeypatch, capsys):
    for line in text.splitlines():
        monkeypatch.setattr(sys, "argv", shlex.split(line, comments=True))
        with pytest.raises(SystemExit) as exit_:
            main.run()
        assert not exit_.value.code, f"{line}: {capsys.readouterr().err}"
