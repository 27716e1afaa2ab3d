"""docs/weights.md tells the truth: its snippets run, and so do its command lines."""

import re

from safetensors.torch import save_file

from guides import DOCS, run_snippets
from weights.networks import network

GUIDE = (DOCS / "weights.md").read_text()


def test_snippets(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_snippets("weights.md", 7)
    assert "the first layer, at half the step" in capsys.readouterr().out


def test_command_lines(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    save_file(network(), "model.safetensors")
    lines = re.findall(r"^    barycode (.*?)(?:  +#.*)?$", GUIDE, re.MULTILINE)
    assert len(lines) == 10
    for line in lines:
        arguments = line.split()
        force = [] if arguments[0] == "info" else ["--force"]
        outcome = run(*arguments, *force)
        assert outcome.code == 0, (line, outcome.err)
