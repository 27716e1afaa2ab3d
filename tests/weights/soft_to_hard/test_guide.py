"""docs/finetuning-weights.md tells the truth: its snippets run in order, with the assertions in them."""

from guides import run_snippets


def test_snippets():
    scope = run_snippets("finetuning-weights.md", 4)
    zeros = [int((tensor.tensor() == 0).sum()) for tensor in scope["harden"](scope["model"]).values()]
    assert sum(zeros) >= 0.5 * (16 * 64 + 64)
