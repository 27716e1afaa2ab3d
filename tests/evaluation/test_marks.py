import pytest

from barycode.errors import InvalidInputError
from barycode.evaluation.marks import END, begin, fill


@pytest.mark.parametrize("source", ["", "experiments/one/run.py"])
def test_filling_keeps_the_rest(tmp_path, source):
    document = tmp_path / "README.md"
    document.write_text(f"before\n{begin(source)}\nold\n{END}\nafter\n{END}\n")
    fill(document, "new", source)
    fill(document, "newer", source)
    assert document.read_text() == f"before\n{begin(source)}\nnewer\n{END}\nafter\n{END}\n"


@pytest.mark.parametrize("text", ["no marks", f"{begin('another')}\n{END}", f"{begin()} never closed"])
def test_no_place_to_fill(tmp_path, text):
    document = tmp_path / "README.md"
    document.write_text(text)
    with pytest.raises(InvalidInputError, match=r"README\.md has no region"):
        fill(document, "new")
    assert document.read_text() == text
