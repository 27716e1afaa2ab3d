import io

import numpy as np
import pytest
from PIL import Image

from barycode.container import Container, Section, pack, unpack
from barycode.errors import CorruptFileError
from barycode.images import compress, decompress
from barycode.images.drawing import PALETTES, drawings, is_drawing, unpack_drawing
from scenes import dialog, scene


def tags(data: bytes) -> list[str]:
    return [section.tag for section in unpack(data).sections]


def test_a_screen_is_stored_as_a_drawing_and_a_photo_is_not():
    assert is_drawing(dialog())
    assert not is_drawing(scene(96, 128))
    assert tags(compress(dialog(), quality=4, effort=0)) == ["HEAD", "FLAT"]
    assert tags(compress(scene(96, 128), quality=4, effort=0)) == ["HEAD", "TILE"]


def checks():
    return np.indices((96, 128)).sum(0) % 2 * 200 + 20


def stripes():
    return np.tile(np.arange(128) % 3 * 90, (96, 1))


def dots():
    rows, columns = np.indices((96, 128))
    return np.where((rows % 4 == 0) & (columns % 3 == rows // 4 % 3), 0, 255)


@pytest.mark.parametrize("pattern", [checks, stripes, dots])
def test_few_colours_are_drawn_though_no_pixel_is_like_its_neighbours(pattern):
    picture = np.repeat(pattern().astype(np.uint8)[:, :, None], 3, 2)
    data = compress(picture, effort=0)
    assert tags(data) == ["HEAD", "FLAT"]
    assert np.array_equal(np.asarray(decompress(data)), picture)
    assert len(data) < 300


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_at_a_fine_quality_a_drawing_is_nearly_exact_in_every_mode(mode):
    image = Image.fromarray(dialog()).convert(mode)
    back = decompress(compress(image, quality=8, effort=0))
    assert back.mode == mode
    error = np.asarray(back).astype(int) - np.asarray(image)
    assert (error**2).mean() < 2  # 45 dB
    assert (error == 0).mean() > 0.9


@pytest.mark.parametrize("partly", [False, True])
def test_ways_to_store_say_what_they_decode_to_and_the_first_is_exact(partly):
    picture = dialog()
    drawn = np.full(picture.shape[:2], not partly)
    drawn[20:60, 10:100] = True
    ways = list(drawings(picture, drawn))
    assert np.array_equal(ways[0].pixels[drawn], picture[drawn])
    for drawing in ways:
        back = unpack_drawing(drawing.data, 128, 96)
        assert np.array_equal(back.pixels, drawing.pixels)
        assert np.array_equal(back.drawn, drawn)
        assert not drawing.pixels[~drawn].any()
        assert np.array_equal(drawing.over(picture)[~drawn], picture[~drawn])
    counts = [len(np.unique(drawing.pixels[drawn], axis=0)) for drawing in ways[1:]]
    assert counts == sorted(counts)
    assert all(count <= limit for count, limit in zip(counts, PALETTES, strict=False))
    assert 0 < len(counts) < len(PALETTES)  # as many as it has are no quantization


def test_nothing_drawn_is_no_drawing():
    assert not list(drawings(dialog(), np.zeros((96, 128), bool)))


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
