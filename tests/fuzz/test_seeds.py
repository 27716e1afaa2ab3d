"""What the fuzzers start from holds every way that a tensor can be in a file."""

import importlib
from pathlib import Path

import pytest

from barycode.errors import CorruptFileError
from barycode.weights import decompress
from barycode.weights.file_format import items, methods

FOLDER = Path(__file__).parents[2] / "fuzz"


def test_the_seeds_of_networks_hold_every_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    seeds = importlib.import_module("targets").TARGETS["network"].seeds()
    read: set[int] = set()

    def noted(reader: methods.ByteReader, number: int) -> methods.Method:
        read.add(number)
        return methods.read_method(reader, number)

    monkeypatch.setattr(items, "read_method", noted)
    for seed in seeds:
        decompress(seed)
    assert read == set(range(11))
    with pytest.raises(
        CorruptFileError, match="method 11, which does not exist"
    ):  # so there are no more of them
        methods.read_method(methods.ByteReader(b""), 11)
