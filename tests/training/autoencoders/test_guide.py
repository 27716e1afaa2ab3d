"""docs/autoencoders.md tells the truth: its snippets run, and its table names every method."""

from pathlib import Path

from barycode.training.autoencoders.methods import METHODS
from guides import DOCS, run_snippets

ROOT = Path(__file__).parents[3]


def test_snippets(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(METHODS, "thirds", None)  # the guide adds it; gone again after the test
    scope = run_snippets("autoencoders.md", 4)
    assert scope["run"].loop.done == 40
    assert scope["row"]["bits_a_vector"] < 20
    assert scope["drawn"].max() < 32


def test_every_method_is_in_the_table():
    guide = (DOCS / "autoencoders.md").read_text()
    lines = [line.split("|")[1] for line in guide.splitlines() if line.startswith("| `")]
    named = {name.strip(" `") for line in lines for name in line.split(",")}
    variants = {name for name in METHODS if name.startswith(("scq-lambda", "scq-iterations"))}
    assert named == set(METHODS) - variants
