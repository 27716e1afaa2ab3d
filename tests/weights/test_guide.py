"""docs/weights.md tells the truth: its snippets run, and so do its command lines."""

import re
from pathlib import Path

import torch
from safetensors.torch import save_file

from weights.networks import network

GUIDE = (Path(__file__).parents[2] / "docs/weights.md").read_text()


def test_snippets(capsys):
    snippets = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert len(snippets) == 4
    torch.manual_seed(0)
    scope: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, "weights.md", "exec"), scope)
    assert "the first layer, at half the step" in capsys.readouterr().out


def test_command_lines(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    save_file(network(), "model.safetensors")
    lines = re.findall(r"^    barycode (.*?)(?:  +#.*)?$", GUIDE, re.MULTILINE)
    assert len(lines) == 7
    for line in lines:
        arguments = line.split()
        force = [] if arguments[0] == "info" else ["--force"]
        outcome = run(*arguments, *force)
        assert outcome.code == 0, (line, outcome.err)
