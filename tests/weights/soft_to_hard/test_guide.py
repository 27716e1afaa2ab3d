"""docs/finetuning-weights.md tells the truth: its snippets run in order, with the assertions in them."""

import re
from pathlib import Path

import torch

GUIDE = (Path(__file__).parents[3] / "docs/finetuning-weights.md").read_text()


def test_snippets():
    snippets = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert len(snippets) == 4
    torch.manual_seed(0)
    scope: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, "finetuning-weights.md", "exec"), scope)
    zeros = [int((tensor.tensor() == 0).sum()) for tensor in scope["harden"](scope["model"]).values()]
    assert sum(zeros) >= 0.5 * (16 * 64 + 64)
