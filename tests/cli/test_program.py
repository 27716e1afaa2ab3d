"""Scripts leave as the command line does; in a process of their own, since leaving ends it."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """\
from barycode.cli.program import run_script
from barycode.errors import InvalidInputError

def main(number: int = 1) -> None:
    if number > 1:
        raise InvalidInputError(f"{number} is\\ntoo many.")

run_script(main)
"""


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [([], 0, ""), (["--number", "2"], 1, "few.py: 2 is too many.\n"), (["--number", "x"], 2, None)],
)
def test_an_error_is_one_line_and_an_exit_code(tmp_path, words, code, told):
    script = tmp_path / "few.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert told is None or done.stderr == told


def test_a_missing_data_set_is_said_by_an_experiment(tmp_path):
    script = Path(__file__).parents[2] / "experiments/prior/run.py"
    done = subprocess.run(
        [sys.executable, str(script), "--data", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("run.py: ")
    assert "cifar10_train.npz" in done.stderr
    assert len(done.stderr.splitlines()) == 1
