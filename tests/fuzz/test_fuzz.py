"""A short run of every fuzzer, always the same: typed errors alone, within the bounds; the log adds up."""

import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "fuzz"
EXECUTIONS = 25


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parent / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FOLDER / "run.py"), "--executions", str(EXECUTIONS), "--seed", "123"]
    log = tmp_path / "log.jsonl"
    subprocess.run(
        [*command, "--log", str(log)], check=True, capture_output=True, env=environment, timeout=300
    )
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(rows) >= 10
    for row in rows:
        assert row["findings"] == {}, row["target"]
        assert row["accepted"] + sum(row["refused"].values()) == row["executions"] == EXECUTIONS


def test_the_committed_log_adds_up() -> None:
    """Every row says what ran, with which seed and versions; a finding stays in the log when it is mended."""
    for line in (FOLDER / "log.jsonl").read_text().splitlines():
        row = json.loads(line)
        counted = row["accepted"] + sum(row["refused"].values()) + sum(row["findings"].values())
        assert counted == row["executions"], row
        assert {"when", "target", "mode", "seed", "commit", "versions"} <= row.keys()
