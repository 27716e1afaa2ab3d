"""A .bary in Pillow's hands: as any of its own formats."""

import copy
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from barycode.errors import InvalidInputError
from barycode.images import compress


@pytest.fixture
def file(tmp_path, tiny, monkeypatch):
    """A .bary whose model is found."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/tiny.safetensors").write_bytes(tiny.to_bytes())
    monkeypatch.setenv("BARYCODE_MODELS", str(tmp_path / "models"))
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    (tmp_path / "x.bary").write_bytes(compress(picture, model=tiny, xmp=b"<x/>"))
    return tmp_path / "x.bary"


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))])
def test_it_can_be_copied_and_pickled(file, loaded, duplicate):
    with Image.open(file) as image:
        if loaded:
            image.load()
        other = duplicate(image)
    with Image.open(file) as image:
        assert np.array_equal(np.asarray(other), np.asarray(image))
    assert other.info["xmp"] == b"<x/>"
    assert other.resize((4, 4)).size == (4, 4)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_loaded_pictures_hold_no_descriptors(file):
    before = descriptors()
    images = [Image.open(file) for _ in range(5)]
    for image in images:
        image.load()
    assert descriptors() == before
    stream = io.BytesIO(file.read_bytes())
    Image.open(stream).load()
    assert not stream.closed, "it belongs to whoever opened it"


def test_it_can_be_used_after_closing(file):
    with Image.open(file) as image:
        image.load()
    assert np.asarray(image).shape == (16, 24, 3)


def test_damaged_data_is_an_os_error(file, tiny):
    data = file.read_bytes()
    for place in (3, len(data) // 2, len(data) - 20):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        with pytest.raises(OSError):  # noqa: PT011 (what a loader catches)
            Image.open(io.BytesIO(damaged)).load()
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(data[:-5])).load()
    assert issubclass(UnidentifiedImageError, OSError)


def test_options_of_pillows_save(file, tiny, tmp_path):
    with Image.open(file) as image:
        image.save(tmp_path / "y.bary", model=tiny, quality=np.int64(2), xmp=b"", dpi=(96, 96))
        image.save(tmp_path / "z.bary", model=tiny, quality=np.float32(4.5), xmp=None)
    with Image.open(tmp_path / "y.bary") as image:
        assert "xmp" not in image.info
        assert image.info["dpi"] == (96, 96)
    with pytest.raises(InvalidInputError, match="effort"):
        image.save(tmp_path / "n.bary", model=tiny, effort=99)
    assert not (tmp_path / "n.bary").exists()
    deep = Image.new("I;16", (8, 8), 2**15)
    deep.save(tmp_path / "d.bary", model=tiny, effort=0, flatten=True)
    with Image.open(tmp_path / "z.bary") as image:
        assert "xmp" not in image.info
