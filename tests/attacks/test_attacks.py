"""Every file of attacks/ is refused with its error, in bounded time and memory, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "attacks"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
# Of processor time, and as many more for each megabyte of the attack: ten times what a quiet machine takes,
# since what this catches takes minutes.
SECONDS = 10.0
MEMORY = 64 * 2**20
FACTOR = 40  # of memory, a byte of the attack


def run(script: str, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FOLDER / script), *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, timeout=300
    ).stdout


@pytest.fixture(scope="module")
def results() -> dict[str, dict]:
    return {row["name"]: row for row in map(json.loads, run("run.py").splitlines())}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_attack_is_refused_with_its_sentence(name: str, results: dict[str, dict]) -> None:
    expected, found = EXPECTED[name], results[name]
    assert found["error"] == expected["error"], found["sentence"]
    assert expected["sentence"] in found["sentence"]
    assert "\n" not in found["sentence"]
    assert found["sentence"].isprintable()
    assert found["seconds"] < SECONDS * (1 + expected["bytes"] / 2**20)
    assert found["memory"] < MEMORY + FACTOR * expected["bytes"]


def test_the_files_are_those_that_the_script_makes(tmp_path: Path) -> None:
    run("make.py", str(tmp_path))
    made = {path.name: path.read_bytes() for path in (tmp_path / "files").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (FOLDER / "files").iterdir()}
    assert json.loads((tmp_path / "expected.json").read_text()) == EXPECTED
