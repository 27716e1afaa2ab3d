"""docs/calibrating-weights.md tells the truth: its snippets run in order."""

from guides import run_snippets


def test_snippets():
    scope = run_snippets("calibrating-weights.md", 2)
    assert set(scope["calibration"].layers) == {"0.weight", "2.weight"}
