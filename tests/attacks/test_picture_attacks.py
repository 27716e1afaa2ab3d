"""Sound pictures with something wrong behind right checksums: one thing has one file."""

import struct
import zlib

import numpy as np
import pytest

from barycode.container import Section, pack, unpack
from barycode.errors import CorruptFileError, LimitError, UnsupportedFileError
from barycode.images.codec import compress, decompress
from barycode.images.model import ImageModel
from scenes import scene


@pytest.fixture(scope="module")
def tiny() -> ImageModel:
    from attacks.tiny import tiny_model

    return tiny_model()


@pytest.fixture(scope="module")
def sections(tiny: ImageModel) -> dict[str, tuple[Section, ...]]:
    alpha = np.dstack([scene(24, 24), scene(24, 24)[:, :, 0]])
    arrays = {"colour": scene(24, 24), "alpha": alpha, "blank": np.full((64, 64, 3), 255, np.uint8)}
    return {name: unpack(compress(array, model=tiny)).sections for name, array in arrays.items()}


def refuse(
    tiny: ImageModel, sections: list[Section], kind: type = CorruptFileError, match: str | None = None
) -> None:
    with pytest.raises(kind, match=match):
        decompress(pack("imag", sections), model=tiny)


@pytest.mark.parametrize("behind", [b"\0", bytes(10**6), b"\xff" * 4, b"\1"])
@pytest.mark.parametrize("name", ["colour", "blank"])
def test_bytes_behind_the_codes(behind: bytes, name: str, sections, tiny: ImageModel) -> None:
    head, codes = sections[name]
    assert codes.tag == ("FLAT" if name == "blank" else "TILE")
    refuse(tiny, [head, Section(codes.tag, codes.payload + behind)])


def test_sections_that_do_not_belong(sections, tiny: ImageModel) -> None:
    colour, alpha = list(sections["colour"]), list(sections["alpha"])
    plane = next(section for section in alpha if section.tag == "ALPH")
    refuse(tiny, [*colour, plane])
    refuse(tiny, [section for section in alpha if section.tag != "ALPH"])
    refuse(tiny, [*colour, Section("NEWS", b"")], UnsupportedFileError, "NEWS")
    refuse(tiny, [*colour, colour[-1]])
    refuse(tiny, colour[::-1])
    refuse(tiny, [*colour, colour[0]])
    refuse(tiny, colour[:1])
    refuse(tiny, [])
    assert decompress(pack("imag", colour), model=tiny).size == (24, 24)


def test_a_limit_is_on_what_comes_out(sections, tiny: ImageModel) -> None:
    file = pack("imag", sections["alpha"])
    assert decompress(file, model=tiny, limit=24 * 24 * 4).mode == "RGBA"
    with pytest.raises(LimitError, match=r"2,304 bytes, more than the limit of 2,303"):
        decompress(file, model=tiny, limit=24 * 24 * 4 - 1)


def test_a_large_picture_has_no_small_file(sections, tiny: ImageModel) -> None:
    """2^28 pixels were 2.3 kB and minutes; now they are 64 kB at least."""
    from barycode.images.codec import Header

    head = Header("RGB", 2**14, 2**14, 0, tiny.fingerprint).to_bytes()
    refuse(tiny, [Section("HEAD", head), *[Section("TILE", b"\1")] * 256], match="at least 256")


def chunk(kind: bytes, payload: bytes = b"", length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return struct.pack(">I", size) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


MARK, END = b"\x89PNG\r\n\x1a\n", chunk(b"IEND")
HEADER = chunk(b"IHDR", struct.pack(">2I5B", 24, 24, 8, 0, 0, 0, 0))
ROWS = bytes(24 * 25)
PIXELS = chunk(b"IDAT", zlib.compress(ROWS))
BROKEN = {  # names of chunks whose readers in Pillow have raised IndexError, struct.error, ValueError ...
    "a profile behind the pixels": HEADER + PIXELS + chunk(b"iCCP") + END,
    "a profile before them": HEADER + chunk(b"iCCP") + PIXELS + END,
    "a short resolution": HEADER + PIXELS + chunk(b"pHYs", b"\0") + END,
    "a short gamma": HEADER + chunk(b"gAMA") + PIXELS + END,
    "short colours": HEADER + chunk(b"cHRM", b"\0") + PIXELS + END,
    "a short transparency": HEADER + chunk(b"tRNS") + PIXELS + END,
    "a text without a name": HEADER + chunk(b"iTXt", b"a") + PIXELS + END,
    "a text of 64 MB": HEADER + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26))) + PIXELS + END,
    "EXIF": HEADER + PIXELS + chunk(b"eXIf", b"II") + END,
    "an animation": HEADER + chunk(b"acTL") + PIXELS + chunk(b"fcTL") + END,
    "bytes behind the end": HEADER + PIXELS + END + b"junk",
    "no end": HEADER + PIXELS,
    "an end cut off": HEADER + PIXELS + END[:-1],
    "no pixels": HEADER + END,
    "rows missing": HEADER + chunk(b"IDAT", zlib.compress(ROWS[:100])) + END,
    "rows too many": HEADER + chunk(b"IDAT", zlib.compress(ROWS + b"\0")) + END,
    "bytes behind the pixels": HEADER + chunk(b"IDAT", zlib.compress(ROWS) + b"\0") + END,
    "pixels that are not compressed": HEADER + chunk(b"IDAT", ROWS) + END,
    "an unknown filter": HEADER + chunk(b"IDAT", zlib.compress(b"\x09" + ROWS[1:])) + END,
    "another size": chunk(b"IHDR", struct.pack(">2I5B", 23, 24, 8, 0, 0, 0, 0)) + PIXELS + END,
    "a huge size": chunk(b"IHDR", struct.pack(">2I5B", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)) + PIXELS + END,
    "colours": chunk(b"IHDR", struct.pack(">2I5B", 24, 24, 8, 2, 0, 0, 0)) + PIXELS + END,
    "a bad checksum": HEADER[:-1] + b"\0" + PIXELS + END,
    "a length of 4 GB": HEADER + chunk(b"IDAT", b"", 2**32 - 1) + END,
    "nothing": b"",
}


@pytest.mark.parametrize("name", BROKEN)
def test_alpha_planes_that_are_none(name: str, sections, tiny: ImageModel) -> None:
    data = MARK + BROKEN[name] if BROKEN[name] else b""
    changed = [Section(s.tag, data if s.tag == "ALPH" else s.payload) for s in sections["alpha"]]
    refuse(tiny, changed, match="alpha plane")


def test_an_alpha_plane_by_hand_is_read(sections, tiny: ImageModel) -> None:
    data = MARK + HEADER + PIXELS + END
    changed = [Section(s.tag, data if s.tag == "ALPH" else s.payload) for s in sections["alpha"]]
    assert decompress(pack("imag", changed), model=tiny).getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("tag", ["EXIF", "ICCP", "XMPD", "DPIS", "TEXT"])
def test_empty_descriptions(tag: str, sections, tiny: ImageModel) -> None:
    refuse(tiny, [*sections["colour"], Section(tag, b"")], match="is empty")
