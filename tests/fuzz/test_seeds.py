"""What the fuzzers start from holds every way that a tensor, or a picture, can be in a file."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from barycode.container import unpack
from barycode.errors import CorruptFileError
from barycode.images import codec, tile
from barycode.images.codec import read_header
from barycode.images.picture import MODES
from barycode.images.prediction import LIMIT
from barycode.images.vectors import VectorSlice
from barycode.weights import decompress
from barycode.weights.file_format import items, methods

FOLDER = Path(__file__).parents[2] / "fuzz"


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("targets")


def test_the_seeds_of_networks_hold_every_method(targets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = targets.TARGETS["network"].seeds()
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


def test_the_seeds_of_pictures_hold_every_form(targets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All models and modes, every section, several tiles, scale offsets, code vectors and low bits."""
    target = targets.TARGETS["picture"]
    seeds = target.seeds()
    headers = [read_header(unpack(seed)) for seed in seeds]
    assert {header.fingerprint for header in headers} >= {
        model.fingerprint for model in targets._models().values()
    }
    assert {header.mode for header in headers} == set(MODES)
    tags = [[section.tag for section in unpack(seed).sections] for seed in seeds]
    known = {tag.strip("?*") for tag in codec.LAYOUT.split()}
    assert {tag for found in tags for tag in found} == known
    assert max(found.count("TILE") for found in tags) > 1
    assert {("TILE" in found) for found in tags if "FLAT" in found} == {False, True}
    reached: set[str] = set()

    def noted(owner: Any, name: str, what: str, holds: Any = lambda result, *arguments: True) -> None:
        whole = getattr(owner, name)

        def noting(*arguments: Any) -> Any:
            result = whole(*arguments)
            if holds(result, *arguments):
                reached.add(what)
            return result

        monkeypatch.setattr(owner, name, noting)

    noted(tile.ScaleOffsets, "read", "offsets", lambda offsets, _: offsets.halves.any())
    noted(tile.ScaleOffsets, "read", "no offsets", lambda offsets, _: not offsets.halves.any())
    noted(VectorSlice, "read", "vectors")
    noted(tile, "read_codes", "low bits", lambda *call: call[3].low.any())
    noted(tile.SymbolDecoder, "decode_signed", "escapes", lambda codes, *_: (abs(codes) >= LIMIT).any())
    for seed in seeds:
        assert target.read(seed) > 0
    assert reached == {"offsets", "no offsets", "vectors", "low bits", "escapes"}
