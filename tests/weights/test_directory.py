import zlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import BarycodeError, CorruptFileError, InvalidInputError
from barycode.weights.file_format.directory import Directory, Entry
from barycode.weights.file_format.number_formats import DTYPES

ENTRIES = (
    Entry("a.weight", (3, 4), torch.float32),
    Entry("é", (), torch.int64),
    Entry("", (0, 2**33), torch.bool),
    Entry("tied", (3, 4), torch.float32, tied_to=0),
)


@pytest.mark.parametrize("entries", [(), ENTRIES])
@pytest.mark.parametrize("metadata", [{}, {"format": "pt", "ü": '"'}])
def test_there_and_back(entries, metadata):
    directory = Directory(entries, metadata)
    assert Directory.from_bytes(directory.to_bytes()) == directory


def test_the_bytes_are_these():
    plain = zlib.decompress(Directory(ENTRIES, {"k": "v"}).to_bytes())
    assert plain == (
        b"\x04\x11a.weight\0\xc3\xa9\0\0tied" + bytes([0, 16, 11, 0]) + bytes([0, 0, 0, 1])
        + bytes([2, 3, 4]) + bytes([0]) + bytes([2, 0]) + b"\x80\x80\x80\x80\x20" + bytes([2, 3, 4])
        + b'\x0a{"k": "v"}'
    )  # fmt: skip


def test_numbers_of_dtypes_never_change():
    names = [str(dtype).removeprefix("torch.") for dtype in DTYPES[:7]]
    assert names == ["float32", "float16", "bfloat16", "float64", "complex64", "complex128", "complex32"]
    assert DTYPES[16] == torch.int64


def forged(plain: bytes) -> bytes:
    return zlib.compress(plain)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        zlib.compress(b"\x01\x01a\0\0\0\0")[:-3],
        forged(b"\xff\xff\xff\x7f"),  # a billion tensors
        forged(b"\x02\x03a\0a\0\0\0\0\0\0\0"),  # a name twice
        forged(b"\x01\x01a\xc8\0\0\0"),  # number format 200
        forged(b"\x01\x01a\0\x01\0\0"),  # tied to itself
        forged(b"\x01\x01a\0\0\x41"),  # 65 dimensions
        forged(b"\x01\x01a\0\0\x02\xff\xff\xff\x7f\xff\xff\xff\x7f\0"),  # 2**56 entries
        forged(b"\x01\x01a\0\0\0\x02[]"),  # metadata that are not texts by name
        forged(b"\x01\x01a\0\0\0\0more"),
        zlib.compress(b"\0" * (2**26 + 1)),
    ],
)
def test_damage_has_a_type(data):
    with pytest.raises(BarycodeError):
        Directory.from_bytes(data)


@given(st.binary(max_size=60))
@settings(max_examples=60)
def test_any_bytes_are_a_directory_or_an_error(plain):
    try:
        directory = Directory.from_bytes(zlib.compress(plain))
    except BarycodeError:
        return
    assert zlib.decompress(directory.to_bytes()) == plain


def test_names_are_checked():
    with pytest.raises(InvalidInputError, match="zero characters"):
        Directory((Entry("a\0b", (), torch.bool),), {}).to_bytes()


def test_two_tensors_of_one_name_are_refused_before_they_are_written():
    """They were written, and refused by the reader."""
    twice = Directory(
        (Entry("a", (3,), torch.bool), Entry("b", (), torch.bool), Entry("a", (), torch.int8)), {}
    )
    with pytest.raises(InvalidInputError, match="Two tensors are called 'a'"):
        twice.check()


@pytest.mark.parametrize(
    "text", ["{}", '{"a":"b"}', '{"a": "b"} ', '{"a": "\\u00e9"}', '{"a": "1", "a": "2"}', "\n{}"]
)
def test_metadata_have_one_form(text):
    plain = b"\0\0" + bytes([len(text.encode())]) + text.encode()
    with pytest.raises(CorruptFileError, match="as an encoder writes them"):
        Directory.from_bytes(zlib.compress(plain))
    proper = '{"a": "\u00e9"}'.encode()
    sound = b"\0\0" + bytes([len(proper)]) + proper
    assert Directory.from_bytes(zlib.compress(sound)).metadata == {"a": "\u00e9"}


def test_no_tensors_have_no_names():
    with pytest.raises(CorruptFileError, match="names"):
        Directory.from_bytes(zlib.compress(b"\0\1x\0"))


def test_ties_are_checked():
    other_form = (ENTRIES[0], Entry("b", (4, 3), torch.float32, tied_to=0))
    with pytest.raises(CorruptFileError, match="another kind"):
        Directory.from_bytes(Directory(other_form, {}).to_bytes())
