"""Found by fuzzing: an extent of 2^63 beside one of zero is no memory, and no tensor."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from barycode.errors import BarycodeError
from barycode.images.model import ImageModel
from barycode.training.checkpoints import load_state
from barycode.weights.checkpoints.files import open_source

READERS = {
    "network": lambda path: open_source(path).load("a"),
    "checkpoint": load_state,
    "model": lambda path: ImageModel.from_bytes(path.read_bytes()),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("shape", [[0, 2**63], [2**62, 0, 5], [2**64 - 1, 0]])
def test_every_reader_of_safetensors_refuses(
    reader: Callable[[Path], object], shape: list[int], tmp_path: Path
) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(BarycodeError):
        reader(path)


def test_deep_json_in_a_checkpoint_is_a_typed_error(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {"barycode_state": "[" * 10**5}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(BarycodeError, match="not a checkpoint"):
        load_state(path)
