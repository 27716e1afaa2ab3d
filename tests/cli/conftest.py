"""The command line in this process, with a codec that stores PNGs: these tests are about files."""

import io
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import barycode.images
import barycode.images.codec
from barycode.cli import main
from barycode.container import Section, pack, unpack


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch, capsysbinary):
    """Run `barycode` with these arguments as a shell would."""

    def call(*arguments) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["barycode", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main.run()
        out, err = (stream.decode(errors="backslashreplace") for stream in capsysbinary.readouterr())
        return Outcome(exit_.value.code or 0, out, err)

    return call


@pytest.fixture
def stored(monkeypatch):
    """Replace the picture codec by one that keeps the picture as a PNG inside a real container."""

    def compress(image, *, quality=3, model="photo", **_):
        stream = io.BytesIO()
        image.save(stream, "PNG", exif=image.getexif())
        return pack(
            "imag", [Section("QUAL", f"{quality}{model}".encode()), Section("TILE", stream.getvalue())]
        )

    def decompress(data, *, model=None, limit=None):
        return Image.open(io.BytesIO(unpack(data).one("TILE")))

    monkeypatch.setattr(barycode.images, "compress", compress)
    monkeypatch.setattr(barycode.images, "decompress", decompress)
    header = SimpleNamespace(mode="RGB", width=16, height=12, index=0)
    monkeypatch.setattr(barycode.images.codec, "read_header", lambda _: header)


@pytest.fixture
def photos(tmp_path):
    """photos/a.png and photos/deep/b.jpg, below a folder of their own."""
    generator = np.random.default_rng(0)
    for name in ("a.png", "deep/b.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"
