import pytest

from barycode.errors import InvalidInputError
from barycode.experiments.document_tables import TABLE_END, fill_table, table_start


@pytest.mark.parametrize("source", ["", "experiments/one/run.py"])
def test_filling_keeps_the_rest(tmp_path, source):
    document = tmp_path / "README.md"
    document.write_text(f"before\n{table_start(source)}\nold\n{TABLE_END}\nafter\n{TABLE_END}\n")
    fill_table(document, "new", source)
    fill_table(document, "newer", source)
    assert document.read_text() == f"before\n{table_start(source)}\nnewer\n{TABLE_END}\nafter\n{TABLE_END}\n"


@pytest.mark.parametrize(
    "text", ["no comments", f"{table_start('another')}\n{TABLE_END}", f"{table_start()} never closed"]
)
def test_no_place_to_fill(tmp_path, text):
    document = tmp_path / "README.md"
    document.write_text(text)
    with pytest.raises(InvalidInputError, match=r"README\.md has no region"):
        fill_table(document, "new")
    assert document.read_text() == text
