"""The README tells the truth: its snippets run, and its table is what the committed rows give."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image

from barycode.cli import main
from barycode.evaluation.anchors import ANCHORS
from barycode.evaluation.rate_distortion import Codec, load_rows
from barycode.evaluation.report import Comparison
from barycode.experiments.document_tables import TABLE_END, table_start

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def snippets(kind: str) -> list[str]:
    return re.findall(rf"<!-- runs: {kind} -->\n```\w+\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def beside_a_photo(tmp_path, monkeypatch):
    """Work in a folder with a photo.png in it."""
    monkeypatch.chdir(tmp_path)
    with Image.open(ROOT / "examples/photos/kodim15.png") as photo:
        photo.crop((380, 60, 540, 180)).save("photo.png")


@pytest.mark.usefixtures("beside_a_photo")
def test_shell_snippets_run(monkeypatch, capsys):
    lines = [line for snippet in snippets("shell") for line in snippet.splitlines() if line]
    assert len(lines) >= 4
    for line in lines:
        monkeypatch.setattr(sys, "argv", shlex.split(line, comments=True))
        with pytest.raises(SystemExit) as exit_:
            main.run()
        assert not exit_.value.code, f"{line}: {capsys.readouterr().err}"
    assert Path("small.bary").stat().st_size < Path("photo.bary").stat().st_size
    with Image.open("back.png") as back, Image.open("photo.png") as photo:
        assert back.size == photo.size


@pytest.mark.usefixtures("beside_a_photo")
@pytest.mark.parametrize("code", snippets("python"))
def test_python_snippets_run(code):
    exec(compile(code, "README.md", "exec"), {})


def test_there_are_python_snippets():
    assert len(snippets("python")) >= 2


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.fixture
def script(monkeypatch):
    """experiments/kodak/run.py as a module, with its neighbours in reach as when it is run."""
    monkeypatch.syspath_prepend(ROOT / "experiments/kodak")
    spec = importlib.util.spec_from_file_location("kodak_run", ROOT / "experiments/kodak/run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_the_committed_rows_give(script):
    rows = [
        row
        for path in sorted((ROOT / "experiments/kodak/rows/kodak").glob("*.json"))
        for row in load_rows(path)
    ]
    present = {row.codec for row in rows}
    ours = [Codec(name, "", (), bytes, Image.open) for name in script.MODELS.values() if name in present]
    title = script.SETS["kodak"][0]
    anchors = [anchor for anchor in ANCHORS.values() if anchor.name in present]
    comparison = Comparison(title, rows, ours, anchors)
    expected = f"{script.readme_table(comparison)}\n" if ours else ""
    assert f"{table_start(script.SOURCE)}\n{expected}{TABLE_END}" in README
