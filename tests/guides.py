"""Runs the snippets of a guide in docs, so that they stay true."""

import re
from pathlib import Path
from typing import Any

import torch

DOCS = Path(__file__).parents[1] / "docs"


def run_first_snippet(name: str) -> dict[str, Any]:
    """What the first Python snippet of a guide defines."""
    scope: dict[str, Any] = {}
    exec(compile(_snippets(name)[0], name, "exec"), scope)
    return scope


def run_snippets(name: str, count: int) -> dict[str, Any]:
    """What the `count` Python snippets of a guide define, run one after the other."""
    snippets = _snippets(name)
    assert len(snippets) == count
    torch.manual_seed(0)
    scope: dict[str, Any] = {}
    for snippet in snippets:
        exec(compile(snippet, name, "exec"), scope)
    return scope


def _snippets(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
