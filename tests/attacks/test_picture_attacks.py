"""Sound pictures with something wrong behind right checksums: one thing has one file."""

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
    changed = [Section(s.tag, s.payload + behind if s.tag == "TILE" else s.payload) for s in sections[name]]
    refuse(tiny, changed)


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
