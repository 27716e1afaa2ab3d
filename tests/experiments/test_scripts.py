import pytest

from barycode.errors import MissingDataError
from barycode.experiments.scripts import load_script


def test_a_script_beside_others(tmp_path):
    (tmp_path / "network.py").write_text("WIDTH = 3\n")
    assert load_script(tmp_path / "network.py").WIDTH == 3


@pytest.mark.parametrize("name", ["missing.py", "no-script"])
def test_no_such_script(tmp_path, name):
    with pytest.raises(MissingDataError, match="no script"):
        load_script(tmp_path / name)
