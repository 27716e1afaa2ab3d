"""The guides tell the truth: their snippets run in order, and their shapes hold."""

import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parents[2] / "docs"


def run_snippets(name: str) -> dict[str, object]:
    """What the snippets of a guide define, run one after the other."""
    snippets = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    assert len(snippets) >= 10
    torch.manual_seed(0)
    scope: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, name, "exec"), scope)
    return scope


def test_snippets_of_the_quantizer_guide():
    scope = run_snippets("quantizers.md")
    schedule, layer = scope["schedule"], scope["layer"]
    assert schedule.steps == 20
    assert schedule.value != 1.0
    assert layer(torch.randn(2, 64, 8, 8)).indices.shape == (2, 8, 8)


def test_snippets_of_the_guide_to_convex_codes():
    scope = run_snippets("scq.md")
    assert scope["code"].bits(64) == pytest.approx(12.0)
    assert scope["votes"].shape == (400, 3)
    assert scope["scq"].hardness == 1
    for program in ("exact", "relaxed", "continuous"):
        assert scope[program](scope["vectors"]).quantized.shape == (400, 16)
