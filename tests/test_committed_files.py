"""Every .bary file of the repository opens, and is what its row says."""

import json
from pathlib import Path

import pytest

from barycode.container import ContainerReader
from barycode.weights import decompress

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("experiments", "tests", "docs", "examples", "benchmarks")
    for path in (ROOT / folder).rglob("*.bary")
)
ROWS = {
    (path.parent / row["file"]).resolve(): row
    for path in ROOT.glob("experiments/*/results.json")
    for row in json.loads(path.read_text())
    if isinstance(row, dict) and "file" in row
}


def test_there_are_files():
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_opens_and_is_as_large_as_its_row_says(path):
    with path.open("rb") as stream:
        kind = ContainerReader(stream).kind
    data = path.read_bytes()
    if kind == "wght":
        assert decompress(data)
    else:
        assert kind in ("imag", "vect")
    if row := ROWS.get(path.resolve()):
        assert row["bytes"] == len(data)
