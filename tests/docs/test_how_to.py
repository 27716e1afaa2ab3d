"""The how-to guides tell the truth: snippets run in order, and so do commands."""

import re
import shlex
import sys

import pytest

from barycode.cli import main
from guides import DOCS, run_snippets


@pytest.mark.parametrize(
    ("page", "count"), [("vq-vae", 5), ("tokenizer", 5), ("training-loop", 3), ("byte-budget", 3)]
)
def test_snippets(page, count, monkeypatch):
    monkeypatch.chdir(DOCS.parent)
    run_snippets(f"how-to/{page}.md", count)


@pytest.mark.usefixtures("photo")
def test_commands_for_a_byte_budget(monkeypatch, capsys):
    (block,) = re.findall(r"```sh\n(.*?)```", (DOCS / "how-to/byte-budget.md").read_text(), re.DOTALL)
    lines = block.splitlines()
    assert len(lines) == 4
    for line in lines:
        monkeypatch.setattr(sys, "argv", [*shlex.split(line, comments=True), "--force", "--effort", "0"])
        with pytest.raises(SystemExit) as exit_:
            main.run()
        assert not exit_.value.code, f"{line}: {capsys.readouterr().err}"
