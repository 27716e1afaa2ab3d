"""The how-to guides tell the truth: snippets run in order, and so do commands."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from barycode.cli import main
from guides import DOCS, run_snippets


# WebDataset leaves shards open for the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("page", "count"),
    [("vq-vae", 5), ("tokenizer", 5), ("training-loop", 3), ("byte-budget", 3), ("dataloader", 7)],
)
def test_snippets(page, count, monkeypatch):
    monkeypatch.chdir(DOCS.parent)
    run_snippets(f"how-to/{page}.md", count)


def test_what_the_migration_page_says_of_the_other_library():
    pytest.importorskip("vector_quantize_pytorch")
    run_snippets("how-to/migrating.md", 6)


@pytest.mark.parametrize(("page", "count"), [("byte-budget", 4), ("dataloader", 1)])
def test_commands(page, count, photo, monkeypatch, capsys):
    Path("photos").mkdir()
    photo.save("photos/first.png")
    (block,) = re.findall(r"```sh\n(.*?)```", (DOCS / f"how-to/{page}.md").read_text(), re.DOTALL)
    lines = block.splitlines()
    assert len(lines) == count
    for line in lines:
        monkeypatch.setattr(sys, "argv", [*shlex.split(line, comments=True), "--force", "--effort", "0"])
        with pytest.raises(SystemExit) as exit_:
            main.run()
        assert not exit_.value.code, f"{line}: {capsys.readouterr().err}"
