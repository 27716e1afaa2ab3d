import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barycode import images, weights
from barycode.container import KINDS, Section, pack, unpack
from barycode.errors import CorruptFileError, InvalidInputError, UnsupportedFileError

tags = st.from_regex(r"[A-Z][A-Z0-9]{3}", fullmatch=True)
sections = st.lists(st.builds(Section, tags, st.binary(max_size=300)), max_size=6)

GOLDEN_SECTIONS = [Section("HEAD", b"abc"), Section("TILE", b"")]
GOLDEN = bytes.fromhex("BA525902 69 48454144 03 616263 32D74BFA 54494C45 00 CDD9C95E 00")


def test_golden_bytes() -> None:
    assert pack("imag", GOLDEN_SECTIONS) == GOLDEN
    container = unpack(GOLDEN)
    assert (container.kind, container.version, list(container.sections)) == ("imag", 2, GOLDEN_SECTIONS)


def test_the_specification_shows_the_golden_bytes() -> None:
    text = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    example = re.search(r"^    (BA 52 59 .*)$", text, re.MULTILINE)
    assert example is not None
    assert bytes.fromhex(example[1]) == GOLDEN


@given(st.sampled_from(sorted(KINDS)), sections)
def test_round_trip(kind: str, content: list[Section]) -> None:
    container = unpack(pack(kind, content))
    assert container.kind == kind
    assert list(container.sections) == content


def test_one_all_optional() -> None:
    container = unpack(pack("wght", [Section("AAAA", b"1"), Section("BBBB", b"2"), Section("AAAA", b"3")]))
    assert container.all("AAAA") == [b"1", b"3"]
    assert container.one("BBBB") == container.optional("BBBB") == b"2"
    assert container.optional("CCCC") is None
    for tag in ("AAAA", "CCCC"):
        with pytest.raises(CorruptFileError, match="expected exactly one"):
            container.one(tag)
    with pytest.raises(CorruptFileError, match="2 AAAA"):
        container.optional("AAAA")


def test_a_layout_is_an_order() -> None:
    def check(tags: str) -> None:
        container = unpack(pack("imag", [Section(tag, b"") for tag in tags.split()]))
        container.require_layout("HEAD TILE+ ALPH* EXIF?")

    for tags in (
        "HEAD TILE",
        "HEAD TILE TILE",
        "HEAD TILE ALPH ALPH",
        "HEAD TILE ALPH EXIF",
        "HEAD TILE EXIF",
    ):
        check(tags)
    for tags in ("", "HEAD", "TILE HEAD", "HEAD HEAD TILE", "HEAD TILE EXIF EXIF", "HEAD TILE EXIF ALPH"):
        with pytest.raises(CorruptFileError, match="expected HEAD TILE"):
            check(tags)
    with pytest.raises(CorruptFileError, match=r"TILE \(3\), HEAD \(1\), expected"):
        check("TILE TILE TILE HEAD")
    with pytest.raises(UnsupportedFileError, match="XTRA section"):
        check("HEAD TILE XTRA")


@pytest.mark.parametrize("tag", ["", "ABC", "ABCDE", "AbCD", "aBCD", "1ABC", "AB D", "ÄBC", "\0ABC"])
def test_malformed_tags(tag: str) -> None:
    with pytest.raises(InvalidInputError, match="tag"):
        pack("imag", [Section(tag, b"")])


@pytest.mark.parametrize("decompress", [unpack, images.decompress, weights.decompress])
@pytest.mark.parametrize("wrong", ["photo.bary", None, Path("photo.bary"), [1, 2]])
def test_a_name_is_no_bytes(decompress: Callable[[Any], object], wrong: object) -> None:
    with pytest.raises(InvalidInputError, match="Expected the bytes"):
        decompress(wrong)


def test_unknown_kinds() -> None:
    with pytest.raises(InvalidInputError, match="no file kind 'mp3x'"):
        pack("mp3x", [])
