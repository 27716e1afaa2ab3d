import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from barycode.container import Container, Section, pack, unpack
from barycode.errors import CorruptFileError
from barycode.images import compress, decompress
from barycode.images.drawing import drawings, is_drawing, unpack_drawing
from scenes import scene


def dialog(height: int = 96, width: int = 128) -> np.ndarray:
    """A window with flat areas, lines and letters."""
    image = Image.new("RGB", (width, height), (240, 240, 244))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, 14), fill=(30, 60, 120))
    draw.text((4, 2), "Settings of the window", fill=(255, 255, 255))
    for row in range(3):
        draw.text((8, 24 + 18 * row), f"Option {row}", fill=(20, 20, 20))
        draw.rectangle((80, 24 + 18 * row, 90, 34 + 18 * row), outline=(90, 90, 90), fill=(255, 255, 255))
    return np.asarray(image)


def tags(data: bytes) -> list[str]:
    return [section.tag for section in unpack(data).sections]


def test_a_screen_is_stored_as_a_drawing_and_a_photo_is_not():
    assert is_drawing(dialog())
    assert not is_drawing(scene(96, 128))
    assert tags(compress(dialog(), quality=4, effort=0)) == ["HEAD", "FLAT"]
    assert tags(compress(scene(96, 128), quality=4, effort=0)) == ["HEAD", "TILE"]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_at_a_fine_quality_a_drawing_is_nearly_exact_in_every_mode(mode):
    image = Image.fromarray(dialog()).convert(mode)
    back = decompress(compress(image, quality=8, effort=0))
    assert back.mode == mode
    error = np.asarray(back).astype(int) - np.asarray(image)
    assert (error**2).mean() < 2  # 45 dB
    assert (error == 0).mean() > 0.9


def test_ways_to_store_say_what_they_decode_to_and_the_first_is_exact():
    picture = dialog()
    ways = list(drawings(picture))
    assert np.array_equal(ways[0][1], picture)
    for data, decoded in ways:
        assert np.array_equal(unpack_drawing(data, 128, 96), decoded)
    colours = [len(np.unique(decoded.reshape(-1, 3), axis=0)) for _, decoded in ways[1:]]
    assert all(count <= limit for count, limit in zip(colours, (16, 32, 64, 256), strict=False))
    assert len(colours) < 4  # as many as it has are no quantization


def _with(data: bytes, tag: str, payload: bytes) -> bytes:
    container: Container = unpack(data)
    return pack("imag", [s if s.tag != tag else Section(tag, payload) for s in container.sections])


@pytest.mark.parametrize(
    "kind", ["truncated", "trailing", "described", "lossy", "other size", "png", "empty"]
)
def test_a_drawing_that_is_none_is_one_typed_error(kind):
    data = compress(dialog(), quality=5, effort=0)
    buffer = io.BytesIO()
    image = Image.fromarray(dialog())
    if kind == "lossy":
        image.save(buffer, "WEBP", quality=60)
    elif kind == "other size":
        image.crop((0, 0, 100, 96)).save(buffer, "WEBP", lossless=True)
    elif kind == "png":
        image.save(buffer, "PNG")
    elif kind == "truncated":
        buffer.write(unpack(data).one("FLAT")[:-40])
    elif kind == "trailing":
        buffer.write(unpack(data).one("FLAT") + b"\0\0")
    elif kind == "described":
        image.save(buffer, "WEBP", lossless=True, xmp=b"<x/>")
    with pytest.raises(CorruptFileError):
        decompress(_with(data, "FLAT", buffer.getvalue()))


def test_tiles_beside_a_drawing_are_refused():
    data = compress(dialog(), quality=5, effort=0)
    head, flat = unpack(data).sections
    with pytest.raises(CorruptFileError):
        decompress(pack("imag", [head, Section("TILE", b"\1" * 50), flat]))
    with pytest.raises(CorruptFileError):
        decompress(pack("imag", [head]))
