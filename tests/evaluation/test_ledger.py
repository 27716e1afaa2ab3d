import pytest

from barycode.errors import CorruptFileError
from barycode.evaluation.ledger import Ledger, claim


def test_rows_are_kept_by_name_and_replaced(tmp_path):
    ledger = Ledger(tmp_path / "results.json")
    assert ledger.rows() == {}
    for row in ({"name": "a", "mse": 1}, {"name": "b", "mse": 2}, {"name": "a", "mse": 3}):
        ledger.add(row)
    assert list(Ledger(ledger.path).rows().values()) == [{"name": "a", "mse": 3}, {"name": "b", "mse": 2}]


def test_a_claim_excludes_another_and_ends(tmp_path):
    with claim(tmp_path / "work.lock") as first, claim(tmp_path / "work.lock") as second:
        assert first
        assert not second
    with claim(tmp_path / "work.lock") as third:
        assert third


@pytest.mark.parametrize("text", ["{", "[1]", '[{"mse": 1}]', '{"name": 1}'])
def test_anything_else_is_a_typed_error(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(CorruptFileError, match="not a list of result rows"):
        Ledger(tmp_path / "results.json").rows()
