import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from barycode.container import Section, pack, unpack
from barycode.errors import CorruptFileError
from barycode.images import compress, decompress, drawing, layers
from barycode.images.codec import compress_at
from barycode.images.layers import continued
from barycode.images.registry import find_model
from barycode.images.steps import step_of
from scenes import dialog, night, scene, window

RATE_WEIGHT = 0.12


def tags(data: bytes) -> list[str]:
    return [section.tag for section in unpack(data).sections]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize(
    ("picture", "quality"), [(night(), 4), (window(), 6)], ids=["points of light", "photo in a window"]
)
def test_a_drawing_over_the_transform_makes_a_smaller_and_nearer_file(picture, quality, mode, monkeypatch):
    image = Image.fromarray(picture).convert(mode)
    both = compress(image, quality=quality, effort=2)
    assert tags(both)[:3] == ["HEAD", "TILE", "FLAT"]
    monkeypatch.setattr(layers, "may_be_drawn", lambda _: False)
    alone = compress(image, quality=quality, effort=2)
    assert tags(alone)[:2] == ["HEAD", "TILE"]
    assert "FLAT" not in tags(alone)

    def error(data: bytes) -> float:
        return float(((np.asarray(decompress(data)).astype(float) - np.asarray(image)) ** 2).mean())

    assert len(both) < len(alone)
    assert error(both) < error(alone)


@pytest.mark.parametrize("picture", [night, window, dialog, lambda: scene(96, 128)])
@pytest.mark.parametrize("grey", [False, True])
def test_no_file_costs_more_than_that_of_the_transform_alone(picture, grey, monkeypatch):
    colour = picture()
    image = Image.fromarray(colour).convert("L" if grey else "RGB")
    model = find_model("photo")

    def cost() -> float:
        data = compress_at(image, 20, model, rate_weight=RATE_WEIGHT, effort=1)
        error = np.asarray(decompress(data)).astype(float) - np.asarray(image)
        size = sum(len(section.payload) for section in unpack(data).sections[1:])
        return float((error**2).mean() * colour[..., 0].size / step_of(20) ** 2 + RATE_WEIGHT * 8 * size)

    cheapest = cost()
    monkeypatch.setattr(layers, "may_be_drawn", lambda _: False)
    assert cheapest <= cost() * (1 + 1e-6)


def test_what_is_too_large_to_be_looked_at_as_a_whole_is_the_transform_alone(monkeypatch):
    assert "FLAT" in tags(compress(dialog(), quality=4, effort=1))
    monkeypatch.setattr(drawing, "LARGEST", 96 * 128 - 1)
    assert tags(compress(dialog(), quality=4, effort=1)) == ["HEAD", "TILE"]


def test_a_photo_is_one_layer_and_one_pass_looks_no_further():
    assert tags(compress(scene(96, 128), quality=5)) == ["HEAD", "TILE"]
    assert tags(compress(night(), quality=4, effort=0)) == ["HEAD", "TILE"]


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
)
def test_what_is_not_drawn_stays_and_what_is_lies_between(colour, seed, share):
    drawn = np.random.default_rng(seed).random(colour.shape[:2]) < share
    smooth = continued(colour, drawn)
    np.testing.assert_array_equal(smooth[~drawn], colour[~drawn])
    if not drawn.all():
        assert (smooth[drawn] >= colour[~drawn].min(0)).all()
        assert (smooth[drawn] <= colour[~drawn].max(0)).all()


def _webp(planes: np.ndarray, **options: bool) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(planes).save(buffer, "WEBP", lossless=True, **options)
    return buffer.getvalue()


def _planes(kind: str) -> np.ndarray:
    planes = np.dstack([scene(96, 128), np.full((96, 128), 255, np.uint8)])
    planes[10:80, 10:110] = 0
    if kind == "half transparent":
        planes[20, 20] = 9, 9, 9, 128
    elif kind == "colour below nothing":
        planes[20, 20] = 9, 9, 9, 0
    elif kind == "nothing drawn":
        planes[:] = 0
    elif kind == "all drawn":
        return planes[:, :, :3] + np.uint8(1)
    return planes


@pytest.mark.parametrize(
    "kind", ["half transparent", "colour below nothing", "nothing drawn", "all drawn", "no tiles"]
)
def test_layers_that_are_not_one_picture_are_one_typed_error(kind):
    head, *codes = unpack(compress(night(), quality=4, effort=2)).sections
    flat = Section("FLAT", _webp(_planes(kind), exact=True))
    kept = codes[:1] if kind != "no tiles" else []
    sound = Section("FLAT", _webp(_planes("sound"), exact=True))
    assert decompress(pack("imag", [head, codes[0], sound])).size == (128, 96)
    with pytest.raises(CorruptFileError):
        decompress(pack("imag", [head, *kept, flat]))


@pytest.mark.parametrize("kept", [1, 2], ids=["alone", "over tiles"])
def test_a_grey_picture_has_no_coloured_drawing(kept):
    head, *rest = unpack(compress(Image.fromarray(night()).convert("L"), quality=4, effort=2)).sections
    planes = _planes("all drawn") if kept == 1 else _planes("sound")
    tiles = rest[: kept - 1]
    grey = planes.copy()
    grey[:, :, 1:3] = planes[:, :, :1]
    assert decompress(pack("imag", [head, *tiles, Section("FLAT", _webp(grey, exact=True))])).mode == "L"
    with pytest.raises(CorruptFileError, match="grey"):
        decompress(pack("imag", [head, *tiles, Section("FLAT", _webp(planes, exact=True))]))
