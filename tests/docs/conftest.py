"""What the pages' commands find: photo.png, and a folder of photos, in a folder of their own."""

from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """Work in a folder with a photo.png in it; the photo as a picture."""
    with Image.open(ROOT / "examples/photos/kodim15.png") as whole:
        small = whole.crop((380, 60, 540, 180))
    small.save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return small
