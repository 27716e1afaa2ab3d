import pytest

from barycode.errors import CorruptFileError
from barycode.experiments.results import ResultsFile, try_lock


def test_rows_are_kept_by_name_and_replaced(tmp_path):
    results = ResultsFile(tmp_path / "results.json")
    assert results.rows() == {}
    for row in ({"name": "a", "mse": 1}, {"name": "b", "mse": 2}, {"name": "a", "mse": 3}):
        results.add(row)
    read = ResultsFile(results.path).rows().values()
    assert list(read) == [
        {"name": "a", "mse": 3},
        {"name": "b", "mse": 2},
    ]


def test_a_lock_excludes_another_and_ends(tmp_path):
    with try_lock(tmp_path / "work.lock") as first, try_lock(tmp_path / "work.lock") as second:
        assert first
        assert not second
    with try_lock(tmp_path / "work.lock") as third:
        assert third


@pytest.mark.parametrize("text", ["{", "[1]", '[{"mse": 1}]', '{"name": 1}'])
def test_anything_else_is_a_typed_error(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(CorruptFileError, match="not a list of result rows"):
        ResultsFile(tmp_path / "results.json").rows()
