"""What describes a picture comes back; what structures another file does not; what was told wins."""

import io
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from barycode.container import Section, pack, unpack
from barycode.errors import CorruptFileError, InvalidInputError
from barycode.images import compress, decompress
from barycode.images.metadata import STRUCTURAL

GPS, ORIENTATION, DESCRIPTION = ExifTags.IFD.GPSInfo, 0x0112, 0x010E


def saved(suffix: str, image: Image.Image | None = None, **options) -> Image.Image:
    """A picture as a file of that type, opened and not loaded."""
    stream = io.BytesIO()
    (image or Image.new("RGB", (24, 16), "teal")).save(stream, suffix, **options)
    return Image.open(io.BytesIO(stream.getvalue()))


def photo_exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION], exif[DESCRIPTION] = orientation, "a description"
    exif.get_ifd(GPS)[1] = "N"
    return exif


@pytest.fixture
def there_and_back(tiny):
    def go(image, **explicit):
        return decompress(compress(image, model=tiny, **explicit), model=tiny)

    return go


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_of_every_type_comes_back(there_and_back, suffix):
    back = there_and_back(saved(suffix, exif=photo_exif()))
    exif = back.getexif()
    if suffix != "AVIF":  # Pillow takes the orientation out of EXIF there
        assert exif[ORIENTATION] == 6
    assert exif[DESCRIPTION] == "a description"
    assert exif.get_ifd(GPS)[1] == "N"


def test_exif_is_the_same_bytes(there_and_back):
    image = saved("JPEG", exif=photo_exif())
    assert there_and_back(image).info["exif"] == image.info["exif"]


def test_xmp_dpi_and_text(there_and_back):
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "Kastanienallee")
    text.add_itxt("Author", "写真家")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    back = there_and_back(saved("PNG", pnginfo=text, dpi=(300, 150)))
    assert back.info["xmp"] == b"<x:xmpmeta/>"
    assert back.info["dpi"] == pytest.approx((300, 150), abs=0.02)
    assert back.text == {"Title": "Kastanienallee", "Author": "写真家"}
    assert back.info["Title"] == "Kastanienallee"
    back = there_and_back(saved("JPEG", xmp=b"<x/>", dpi=(72, 72), comment=b"by hand"))
    assert (back.info["xmp"], back.info["dpi"], back.info["comment"]) == (b"<x/>", (72, 72), "by hand")


def test_texts_cannot_pose_as_something_else(there_and_back):
    text = PngImagePlugin.PngInfo()
    text.add_text("transparency", "0")
    text.add_text("dpi", "72")
    text.add_text("exif", "none to speak of")
    back = there_and_back(saved("PNG", pnginfo=text))
    assert "transparency" not in back.info
    assert "dpi" not in back.info
    assert "exif" not in back.info
    assert back.text == {"transparency": "0", "dpi": "72", "exif": "none to speak of"}


def test_a_resolution_that_pillow_makes_up_is_not_kept(there_and_back):
    assert "dpi" not in there_and_back(saved("JPEG")).info
    assert "dpi" not in there_and_back(saved("TIFF")).info
    assert there_and_back(saved("TIFF", dpi=(96, 96))).info["dpi"] == (96, 96)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_is_turned_once(there_and_back, orientation, compression):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ORIENTATION], tags[DESCRIPTION] = orientation, "a scan"
    image = saved("TIFF", tiffinfo=tags, compression=compression)
    with Image.open(image.fp) as other:
        other.load()
        upright = other.size
    back = there_and_back(image)
    assert back.size == upright == ((24, 16) if orientation < 5 else (16, 24))
    assert back.getexif().get(ORIENTATION, 1) == 1
    assert back.getexif()[DESCRIPTION] == "a scan"


@pytest.mark.parametrize("mode", ["P", "L", "1", "RGB", "RGBA"])
@pytest.mark.parametrize("into", ["TIFF", "PNG", "WEBP"])
def test_a_tiff_leaves_no_structure_behind(there_and_back, mode, into):
    source = saved(
        "TIFF", Image.new("RGB", (24, 16), "teal").convert(mode), description="a scan", dpi=(300, 300)
    )
    back = there_and_back(source)
    assert not STRUCTURAL & set(back.getexif())
    again = saved(into, back, exif=back.info["exif"])
    again.load()
    assert again.size == back.size
    assert again.getexif()[DESCRIPTION] == "a scan"
    shown = np.asarray(again.convert("RGBA")).astype(int)
    assert np.abs(shown - np.asarray(back.convert("RGBA"))).max() <= (60 if into == "WEBP" else 0)


def test_what_is_told_wins(there_and_back):
    def image():
        return saved("JPEG", exif=photo_exif(), xmp=b"<old/>", icc_profile=b"old", dpi=(300, 300))

    back = there_and_back(image(), exif=b"", xmp=b"", icc_profile=b"")
    assert not {"exif", "xmp", "icc_profile"} & set(back.info)
    assert not back.getexif()
    back = there_and_back(image(), exif=photo_exif(8), xmp=b"<new/>", icc_profile=b"new", dpi=(72, 72))
    assert back.getexif()[ORIENTATION] == 8
    assert (back.info["xmp"], back.info["icc_profile"]) == (b"<new/>", b"new")
    assert back.info["dpi"] == (72, 72)
    assert there_and_back(image(), exif=photo_exif(3).tobytes()).getexif()[ORIENTATION] == 3


def test_an_edited_exif_wins(there_and_back):
    image = saved("JPEG", exif=photo_exif())
    del image.getexif()[GPS]
    image.getexif()[DESCRIPTION] = "another"
    back = there_and_back(image)
    assert not back.getexif().get_ifd(GPS)
    assert back.getexif()[DESCRIPTION] == "another"
    image = saved("JPEG", exif=photo_exif())
    for tag in list(image.getexif()):
        del image.getexif()[tag]
    assert "exif" not in there_and_back(image).info


def test_stripping_keeps_what_the_picture_needs_to_look_the_same(there_and_back):
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "somebody")
    image = saved("PNG", exif=photo_exif(6), pnginfo=text, dpi=(300, 300), icc_profile=b"a profile")
    back = there_and_back(image, strip=True)
    assert dict(back.getexif()) == {ORIENTATION: 6}
    assert set(back.info) == {"exif", "icc_profile"}
    assert b"somebody" not in compress(image, strip=True, exif=b"")


def test_broken_exif_is_refused_unless_it_is_left_out(there_and_back):
    for broken in (b"Exif\0\0x", b"Exif\0\0II*\0\x08\0\0", b"\0" * 70000):
        image = Image.new("RGB", (8, 8))
        image.info["exif"] = broken
        with pytest.raises(InvalidInputError, match="strip"):
            there_and_back(image)
        assert "exif" not in there_and_back(image, strip=True).info
        with pytest.raises(InvalidInputError, match="EXIF that was given"):
            there_and_back(Image.new("RGB", (8, 8)), exif=broken)
    assert "exif" not in there_and_back(Image.new("RGB", (8, 8)), exif=b"Exif\0\0").info


@pytest.mark.parametrize(("tag", "payload"), [
    ("EXIF", b"x"), ("EXIF", b"Exif\0\0" + bytes(70000)), ("EXIF", b"Exif\0\0Exif\0\0II*\0\x08\0\0\0\0\0"),
    ("DPIS", b"1234567"), ("DPIS", struct.pack("<2f", 0, 1)), ("DPIS", struct.pack("<2f", float("nan"), 1)),
    ("TEXT", b"\x01"), ("TEXT", b"\x01a"), ("TEXT", b"\x01b\x00\x01a\x00"), ("TEXT", b"\x01a\x00\x01a\x00"),
    ("TEXT", b"\x01\xff\x00"),
])  # fmt: skip
def test_what_no_writer_writes_is_damaged(tiny, tag, payload):
    sections = unpack(compress(Image.new("RGB", (8, 8)), model=tiny)).sections
    data = pack("imag", [*sections, Section(tag, payload)])
    with pytest.raises(CorruptFileError):
        decompress(data, model=tiny)


def test_an_unknown_option_is_a_typing_error(tiny):
    with pytest.raises(TypeError, match="icc"):
        compress(Image.new("RGB", (8, 8)), model=tiny, icc=b"")
