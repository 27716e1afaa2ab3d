"""More than can be kept is refused in a sentence; what can be kept is kept exactly."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.images.picture import pack_alpha, read_picture, unpack_alpha

FRAMES = [Image.new("RGB", (16, 12), colour) for colour in ("red", "green", "blue")]


def opened(stream: io.BytesIO) -> Image.Image:
    return Image.open(io.BytesIO(stream.getvalue()))


@pytest.mark.parametrize("suffix", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_frames_and_pages_are_refused_and_one_of_them_taken(suffix):
    stream = io.BytesIO()
    FRAMES[0].save(stream, suffix, save_all=True, append_images=FRAMES[1:])
    image = opened(stream)
    with pytest.raises(InvalidInputError, match="3 frames or pages"):
        read_picture(image)
    image.seek(1)
    assert np.abs(read_picture(image.copy()).colour[0, 0].astype(int) - (0, 128, 0)).max() < 4


def test_the_first_of_an_mpo_is_the_photo():
    stream = io.BytesIO()
    FRAMES[0].save(stream, "MPO", save_all=True, append_images=FRAMES[1:])
    assert read_picture(opened(stream)).colour[0, 0, 0] > 250


def png(chunks: list[tuple[bytes, bytes]]) -> Image.Image:
    import zlib

    data = b"\x89PNG\r\n\x1a\n"
    for tag, payload in [*chunks, (b"IEND", b"")]:
        data += len(payload).to_bytes(4, "big") + tag + payload + zlib.crc32(tag + payload).to_bytes(4, "big")
    return Image.open(io.BytesIO(data))


def grey_png(bits: int, colour_type: int, rows: list[bytes], transparency: bytes = b"") -> Image.Image:
    import zlib

    head = (8).to_bytes(4, "big") + len(rows).to_bytes(4, "big") + bytes([bits, colour_type, 0, 0, 0])
    middle = [(b"tRNS", transparency)] if transparency else []
    return png([(b"IHDR", head), *middle, (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))])


@pytest.mark.parametrize(("colour_type", "samples"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_are_refused(colour_type, samples):
    with pytest.raises(InvalidInputError, match="16"):
        read_picture(grey_png(16, colour_type, [bytes(16 * samples)] * 2))


def test_sixteen_bits_of_a_tiff_and_of_a_ppm_are_refused():
    stream = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(stream, "TIFF")
    with pytest.raises(InvalidInputError, match="16 bits"):
        read_picture(opened(stream))
    with pytest.raises(InvalidInputError, match="16 bits"):
        read_picture(Image.open(io.BytesIO(b"P6 2 2 65535\n" + bytes(24))))


@pytest.mark.parametrize("largest", [1023, 65535])
def test_sixteen_bits_of_a_grey_ppm_are_cut_where_that_is_asked_for(largest):
    """Pillow reads them as 32 bits of which 16 count."""
    data = np.array([[0, largest]], ">u2").tobytes()
    image = Image.open(io.BytesIO(b"P5 2 1 %d\n" % largest + data))
    assert read_picture(image, flatten=True).colour[0, :, 0].tolist() == [0, 255]


def test_the_transparent_grey_of_sixteen_bits_is_the_one_that_it_was():
    """Others may have its upper byte."""
    row = struct.pack(">8H", 0x1234, 0x12FF, *[0xFFFF] * 5, 0x1234)
    picture = read_picture(grey_png(16, 0, [row], struct.pack(">H", 0x1234)), flatten=True)
    assert picture.mode == "LA"
    assert picture.alpha[0].tolist() == [0, *[255] * 6, 0]
    assert picture.colour[0, :3, 0].tolist() == [0x12, 0x12, 0xFF]


def test_a_transparent_colour_of_sixteen_bits_is_refused():
    """Pillow has cut it to eight by the time that it gives it."""
    image = grey_png(16, 2, [bytes(48)], struct.pack(">3H", 1, 2, 3))
    with pytest.raises(InvalidInputError, match="transparent colour of 16 bits"):
        read_picture(image, flatten=True)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_thirty_two_bits_are_refused_without_advice_that_fails(mode):
    stream = io.BytesIO()
    Image.new(mode, (3, 3)).save(stream, "TIFF")
    with pytest.raises(InvalidInputError, match=r"convert it first\.$"):
        read_picture(opened(stream))


def test_ten_bits_of_an_avif_are_refused():
    stream = io.BytesIO()
    FRAMES[0].save(stream, "AVIF")
    image = opened(stream)
    image.fp = io.BytesIO(stream.getvalue().replace(b"\x03\x08\x08\x08", b"\x03\x0a\x0a\x0a", 1))
    with pytest.raises(InvalidInputError, match="10 bits"):
        read_picture(image)


def test_eight_bits_of_jpeg_2000_and_avif_are_not():
    for suffix in ("JPEG2000", "AVIF"):
        stream = io.BytesIO()
        FRAMES[0].save(stream, suffix)
        assert read_picture(opened(stream)).mode == "RGB"


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_of_any_depth_is_kept(bits):
    """One byte a row whose first sample is 1 and all others 0; the grey that is transparent is 1."""
    row = bytes([1 << (8 - bits)]) + bytes(bits - 1)
    picture = read_picture(grey_png(bits, 0, [row] * 2, (1).to_bytes(2, "big")))
    assert picture.mode == "LA"
    assert picture.alpha.tolist() == [[0] + [255] * 7] * 2


@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "GIF", "TIFF", "AVIF", "WEBP"])
def test_damaged_pictures_are_refused_in_a_sentence(suffix):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, suffix)
    whole, (at, count) = stream.getvalue(), {"TIFF": (400, 10**6)}.get(suffix, (600, 200))
    broken = whole[:at] + whole[at + count :]
    try:
        image = Image.open(io.BytesIO(broken))
    except Exception:  # not ours
        pytest.skip("Pillow opens no such file")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_picture(image)


def test_alpha_is_not_bound_by_pillows_idea_of_a_bomb(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    alpha = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert np.array_equal(unpack_alpha(pack_alpha(alpha), 8, 8), alpha)
