"""Docstrings and annotations as the site shows them."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
PATH = Path(__file__).parents[2] / "docs/site_extension.py"
spec = importlib.util.spec_from_file_location("site_extension", PATH)
extension = importlib.util.module_from_spec(spec)
spec.loader.exec_module(extension)


@pytest.mark.parametrize(
    ("annotation", "shown"),
    [
        ('Float[Tensor, "*batch d"]', "Float[*batch, d]"),
        ("~jaxtyping.Int64[Tensor, ' k']", "Int64[k]"),
        ('(x: Bool[Tensor, ""]) -> ~torch.Tensor', "(x: Bool[()]) -> Tensor"),
        ("tuple[Float[Tensor, 'n 3'], int]", "tuple[Float[n, 3], int]"),
        ("list[int]", "list[int]"),
    ],
)
def test_shapes(annotation, shown):
    assert extension.readable_shapes(annotation) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("||z - p_|| * 2 of `a_b`", r"\|\|z - p\_\|\| \* 2 of ``a_b``"),
        ("    x = 1\n    y = 2", "::\n\n        x = 1\n        y = 2"),
        ("z: (N, d) vectors,\nmany.\nk, d: sizes.", "* **z**: (N, d) vectors,\n  many.\n* **k, d**: sizes."),
        ("One.\n\nTwo.", "One.\n\nTwo."),
    ],
)
def test_docstrings(text, shown):
    assert extension.restructured(text) == shown
