"""Every .bary file of the repository opens, and is what its row says."""

import importlib
import json
import math
import os
import sys
from pathlib import Path

import pytest
import torch

from barycode.container import ContainerReader
from barycode.images import decompress as decompress_picture
from barycode.images.model import ImageModel
from barycode.weights import decompress as decompress_network
from code_vectors import with_code_vectors

ROOT = Path(__file__).parents[1]
GOLDEN_MODEL = ROOT / "tests/images/golden/tiny.safetensors"
RESNET = ROOT / "experiments/resnet32-cifar10"
FLOAT_BYTES = 4 * 464_154
FILES = {
    str(path.relative_to(ROOT)): path
    for path in sorted(ROOT.rglob("*.bary"))
    if not any(part.startswith((".", "build", "dist")) for part in path.relative_to(ROOT).parts)
    and ROOT / "fuzz/corpus" not in path.parents  # what fuzzing found: some of it is refused
}
ROWS = {
    str((path.parent / row["file"]).relative_to(ROOT)): row
    for path in ROOT.glob("experiments/*/results.json")
    for row in json.loads(path.read_text())
    if isinstance(row, dict) and row.get("file")
}


def test_every_row_has_its_file_and_every_file_of_an_experiment_its_row():
    of_experiments = {name for name in FILES if name.startswith("experiments/")}
    assert of_experiments == set(ROWS)
    assert len(of_experiments) > 10


@pytest.mark.parametrize("name", FILES)
def test_it_opens(name):
    with FILES[name].open("rb") as stream:
        kind = ContainerReader(stream).kind
    data = FILES[name].read_bytes()
    if kind == "imag":
        assert min(decompress_picture(data, model=_model_of(name)).size) > 0
    else:
        assert kind == "wght"
        tensors = decompress_network(data)
        assert tensors
        if not name.startswith("tests/"):  # golden files hold infinities, and types without arithmetic
            assert all(torch.isfinite(tensor.double()).all() for tensor in tensors.values())


def _model_of(name):
    """None, which is the shipped one that the file names, but for golden files."""
    if not name.startswith("tests/"):
        return None
    model = ImageModel.from_bytes(GOLDEN_MODEL.read_bytes())
    return with_code_vectors(model) if "vectors" in name else model


@pytest.mark.parametrize("name", ROWS)
def test_it_is_the_network_of_its_row(name, network_of):
    row, data = ROWS[name], FILES[name].read_bytes()
    assert row["bytes"] == len(data)
    assert math.isclose(row["ratio"], FLOAT_BYTES / len(data))
    network = network_of(decompress_network(data))
    assert sum(parameter.numel() for parameter in network.parameters()) == FLOAT_BYTES // 4


@pytest.mark.skipif("BARYCODE_DATA" not in os.environ, reason="needs CIFAR-10 in BARYCODE_DATA")
@pytest.mark.parametrize("name", ["data-free-0.05", "calibrated-0.09", "tuned-1.55-4-seed0"])
def test_it_is_as_accurate_as_its_row_says(name, network_of):
    """Of one file a method, over all test pictures; two of them may lie on a border of two classes."""
    name = f"experiments/resnet32-cifar10/files/{name}.bary"
    pictures = importlib.import_module("pictures")
    network = network_of(decompress_network(FILES[name].read_bytes()))
    found = pictures.accuracy(network, pictures.load(Path(os.environ["BARYCODE_DATA"]), "test"))
    assert abs(found - ROWS[name]["accuracy"]) <= 0.02


@pytest.fixture
def network_of(monkeypatch):
    """The experiment's network of a state dict."""
    monkeypatch.syspath_prepend(str(RESNET))
    for module in ("network", "pictures"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return importlib.import_module("network").from_state
