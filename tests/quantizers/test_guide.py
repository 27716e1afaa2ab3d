"""The quantizer guide tells the truth: its snippets run in order, and its shapes hold."""

import re
from pathlib import Path

import torch

GUIDE = Path(__file__).parents[2] / "docs" / "quantizers.md"


def test_snippets_of_the_guide_run():
    snippets = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(snippets) >= 10
    torch.manual_seed(0)
    scope: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, GUIDE.name, "exec"), scope)
    schedule, layer = scope["schedule"], scope["layer"]
    assert schedule.steps == 20
    assert schedule.value != 1.0
    assert layer(torch.randn(2, 64, 8, 8)).indices.shape == (2, 8, 8)
