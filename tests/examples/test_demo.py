"""The demo from photos to table and picture, with a codec that stores PNGs instead of the slow real one."""

import importlib.util
import io
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples/demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def compress(image, *, quality=3):
        stream = io.BytesIO()
        image.save(stream, "PNG")
        return stream.getvalue()

    monkeypatch.setattr(module, "compress", compress)
    monkeypatch.setattr(module, "decompress", lambda data: Image.open(io.BytesIO(data)).convert("RGB"))
    monkeypatch.setattr(module, "QUALITIES", (3,))
    monkeypatch.chdir(tmp_path)
    return module


def test_the_demo_writes_files_a_table_and_a_picture(demo, capsys):
    demo.main()
    told = capsys.readouterr().out
    lines = [line for line in told.splitlines() if "kodim" in line]
    assert len(lines) == 3
    assert all("inf" in line for line in lines), "what is stored exactly has infinite PSNR"
    assert "…" not in told, "the table fits a terminal of 80 columns"
    with Image.open("demo-output/side-by-side.png") as sheet:
        assert sheet.width > 3 * 400
        assert sheet.height > 3 * 300
    assert sorted(path.name for path in Path("demo-output").glob("*.bary")) == [
        "kodim05-q3.bary",
        "kodim15-q3.bary",
        "kodim21-q3.bary",
    ]


def test_every_photo_has_its_crop(demo):
    assert {path.stem for path in demo.PHOTOS.glob("*.png")} == set(demo.CROPS)
