"""The committed model of the golden files."""

from pathlib import Path

from barycode.images.model import ImageModel


def tiny_model() -> ImageModel:
    path = Path(__file__).parents[1] / "images" / "golden" / "tiny.safetensors"
    return ImageModel.from_bytes(path.read_bytes())
