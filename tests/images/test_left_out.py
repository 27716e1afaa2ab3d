"""What a picture's file has besides what is kept is told, and nothing is told of what is kept."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from barycode.images import left_out

pillow_heif.register_heif_opener()
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(50)
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def saved(form: str, image: Image.Image = PICTURE, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    """With segments after its start."""
    whole = saved("JPEG")
    more = b"".join(b"\xff" + bytes([code]) + struct.pack(">H", len(d) + 2) + d for code, d in segments)
    return whole[:2] + more + whole[2:]


def png(name: bytes, content: bytes) -> bytes:
    """With a chunk after its header."""
    whole = saved("PNG")
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return whole[:33] + chunk + whole[33:]


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def webp(name: bytes, content: bytes) -> bytes:
    whole = saved("WEBP") + name + struct.pack("<I", len(content)) + content
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


def gif(block: bytes) -> bytes:
    return saved("GIF")[:-1] + block + b";"


def heic_with(replaced: bytes, by: bytes) -> bytes:
    whole = saved("HEIF", PICTURE.convert("RGBA"))
    assert whole.count(replaced) == 1
    return whole.replace(replaced, by.ljust(len(replaced), b"\0"))


def colours(primaries: int, transfer: int) -> bytes:
    """An AVIF in other colours than sRGB's."""
    whole = saved("AVIF")
    place = whole.index(b"colrnclx") + 8
    return whole[:place] + struct.pack(">HH", primaries, transfer) + whole[place + 4 :]


KEPT: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: saved("JPEG", icc_profile=b"profile" * 40, xmp=b"<x/>", dpi=(72, 72), comment="words"),
    "JPEG, padded": lambda: saved("JPEG") + bytes(400),
    "PNG": lambda: saved("PNG", icc_profile=b"profile" * 40, dpi=(72, 72), transparency=(1, 2, 3)),
    "PNG of sRGB": lambda: png(b"gAMA", struct.pack(">I", 45455)),
    "WebP": lambda: saved("WEBP", PICTURE.convert("RGBA"), icc_profile=b"profile", xmp=b"<x/>"),
    "GIF": lambda: saved("GIF", comment=b"words"),
    "TIFF": lambda: saved("TIFF", dpi=(72, 72)),
    "TIFF of a palette": lambda: saved("TIFF", PICTURE.quantize(16)),
    "TIFF with alpha": lambda: saved("TIFF", PICTURE.convert("RGBA")),
    "AVIF": lambda: saved("AVIF", PICTURE.convert("RGBA")),
    "HEIC": lambda: saved("HEIF", PICTURE.convert("RGBA"), xmp=b"<x/>"),
    "JPEG 2000": lambda: saved("JPEG2000"),
    "icon": lambda: saved("ICO", sizes=[(64, 64)]),
    "BMP": lambda: saved("BMP"),
    "PPM": lambda: saved("PPM"),
}
LOST: dict[str, tuple[Callable[[], bytes], str]] = {
    "a motion photo": (lambda: saved("JPEG") + VIDEO, "a video"),
    "a gain map": (lambda: saved("JPEG") + saved("JPEG"), "pictures behind it (previews, gain map)"),
    "a gain map and a video": (
        lambda: saved("JPEG") + saved("JPEG") + VIDEO,
        "pictures behind it (previews, gain map), a video",
    ),
    "an archive": (lambda: saved("JPEG") + b"PK\3\4abc.", "8 bytes behind it"),
    "previews of an MPO": (
        lambda: saved("MPO", save_all=True, append_images=[PICTURE]),
        "pictures behind it (previews, gain map)",
    ),
    "a gain map by ISO 21496": (
        lambda: jpeg((0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0")),
        "HDR gain map",
    ),
    "IPTC": (lambda: jpeg((0xED, b"Photoshop 3.0\08BIM")), "IPTC and Photoshop's data"),
    "long XMP": (lambda: jpeg((0xE1, b"http://ns.adobe.com/xmp/extension/\0abc")), "extended XMP"),
    "JUMBF": (lambda: jpeg((0xEB, b"JP\0\1\0\0")), "content credentials"),
    "a maker's segment": (lambda: jpeg((0xE5, b"Maker\0...")), "APP5 Maker"),
    "two comments": (lambda: jpeg((0xFE, b"one"), (0xFE, b"two")), "comments before the last"),
    "linear PNG": (lambda: png(b"gAMA", struct.pack(">I", 100000)), "colour space (gAMA, cHRM)"),
    "HDR PNG": (lambda: png(b"cICP", bytes([9, 16, 0, 1])), "colour space (cICP)"),
    "tIME": (lambda: png(b"tIME", struct.pack(">H5B", 2020, 1, 1, 1, 1, 1)), "time of change (tIME)"),
    "no square pixels": (lambda: png(b"pHYs", struct.pack(">IIB", 1, 2, 0)), "pixels of 1 to 2"),
    "an unknown chunk": (lambda: png(b"abCd", b"x"), "abCd"),
    "behind a PNG": (lambda: saved("PNG") + b"hello", "5 bytes behind it"),
    "a chunk of WebP": (lambda: webp(b"ABCD", b"1234"), "ABCD"),
    "behind a WebP": (lambda: saved("WEBP") + b"tail", "4 bytes behind it"),
    "XMP of a GIF": (lambda: gif(b"\x21\xff\x0bXMP DataXMP\3abc\0"), "XMP"),
    "text of a GIF": (lambda: gif(b"\x21\x01\x0c" + bytes(12) + b"\0"), "text that is drawn over it"),
    "behind a GIF": (lambda: saved("GIF") + b"tail", "4 bytes behind it"),
    "a moving HEIC": (lambda: saved("HEIF") + box(b"mpvd", VIDEO), "a video"),
    "depth": (lambda: heic_with(b"urn:mpeg:hevc:2015:auxid:1", b"urn:mpeg:hevc:2015:auxid:2"), "depth"),
    "a matte": (lambda: heic_with(b"urn:mpeg:hevc:2015:auxid:1", b"urn:com:x:aux:matte"), "matte"),
    "colours of HDR": (lambda: colours(9, 16), "colour space (primaries 9, transfer 16)"),
    "colours of a phone": (lambda: colours(12, 13), "colour space (primaries 12, transfer 13)"),
    "XMP of JPEG 2000": (lambda: saved("JPEG2000") + box(b"uuid", XMP_UUID + b"<x/>"), "XMP"),
    "an icon": (
        lambda: saved("ICO", PICTURE.resize((256, 256)), sizes=[(16, 16), (32, 32), (256, 256)]),
        "other sizes (2)",
    ),
    "further pictures of a TIFF": (lambda: saved("TIFF", tiffinfo={330: 8}), "pictures of sub-IFDs"),
}


@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
def test_nothing_is_told_of_what_is_kept(make, tmp_path):
    assert asked(make(), tmp_path) == []


@pytest.mark.parametrize(("make", "told"), LOST.values(), ids=LOST)
def test_what_is_not_kept_is_told(make, told, tmp_path):
    assert asked(make(), tmp_path) == [f"left out: {told}"]


def asked(data: bytes, folder) -> list[str]:
    """Of a file by name, and of the same in memory."""
    (folder / "file").write_bytes(data)
    with Image.open(folder / "file") as image:
        by_name = left_out(image)
        image.load()
    with Image.open(io.BytesIO(data)) as image:
        assert left_out(image) == by_name
    return by_name


def test_a_picture_of_no_file_has_nothing_else():
    assert left_out(PICTURE) == []
    assert left_out(PICTURE.convert("LA")) == []


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "JPEG2000"])
def test_a_damaged_file_is_left_to_its_reader(form, tmp_path):
    """Whatever is cut off or changed, the walk ends."""
    whole, random = saved(form), np.random.default_rng(0)
    for cut in range(40, len(whole), max(len(whole) // 20, 1)):
        data = bytearray(whole[:cut])
        data[random.integers(16, cut)] ^= random.integers(1, 256)
        try:
            image = Image.open(io.BytesIO(bytes(data)))
        except Exception:  # Pillow's
            continue
        assert isinstance(left_out(image), list)
