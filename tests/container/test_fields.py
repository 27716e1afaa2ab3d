import pytest
from hypothesis import given
from hypothesis import strategies as st

from barycode.container import ByteReader, ByteWriter
from barycode.errors import CorruptFileError, InvalidInputError

FIELDS = {
    "u8": st.integers(0, 2**8 - 1),
    "u16": st.integers(0, 2**16 - 1),
    "u32": st.integers(0, 2**32 - 1),
    "varint": st.integers(0, 2**64 - 1),
    "blob": st.binary(max_size=300),
    "text": st.text(st.characters(exclude_categories=["Cs"])),
}
fields = st.lists(st.one_of(*(st.tuples(st.just(name), value) for name, value in FIELDS.items())))


@given(fields)
def test_round_trip(content: list[tuple[str, object]]) -> None:
    writer = ByteWriter()
    for name, value in content:
        getattr(writer, name)(value)
    reader = ByteReader(writer.finish())
    assert [getattr(reader, name)() for name, _ in content] == [value for _, value in content]
    reader.finish()


def test_golden_bytes() -> None:
    writer = ByteWriter()
    writer.u8(1)
    writer.u16(0x0203)
    writer.u32(0x04050607)
    writer.varint(127)
    writer.varint(300)
    writer.raw(b"raw")
    writer.text("né")
    assert writer.finish() == bytes.fromhex("01 0302 07060504 7f ac02") + b"raw" + b"\x03n\xc3\xa9"


@given(st.binary(max_size=40), st.lists(st.sampled_from(sorted(FIELDS)), max_size=10))
def test_any_bytes_read_or_raise_the_typed_error(data: bytes, names: list[str]) -> None:
    reader = ByteReader(data)
    try:
        for name in names:
            getattr(reader, name)()
    except CorruptFileError:
        return
    assert 0 <= reader.remaining <= len(data)


@pytest.mark.parametrize(
    "encoded", ["80", "8000", "ffffffffffffffffff7f", "80808080808080808002", "ff" * 11, "ffffffffff00"]
)
def test_malformed_varints(encoded: str) -> None:
    with pytest.raises(CorruptFileError):
        ByteReader(bytes.fromhex(encoded)).varint()


def test_the_sentence_names_what_is_short() -> None:
    with pytest.raises(CorruptFileError, match="The header ends 2 bytes too early"):
        ByteReader(b"abc", "The header").raw(5)
    with pytest.raises(CorruptFileError, match="1 unexpected bytes"):
        ByteReader(b"a").finish()
    with pytest.raises(CorruptFileError, match="UTF-8"):
        ByteReader(b"\x01\xff").text()


@pytest.mark.parametrize(
    ("name", "value"), [("u8", 256), ("u8", -1), ("u16", 2**16), ("varint", -1), ("varint", 2**64)]
)
def test_values_that_do_not_fit(name: str, value: int) -> None:
    with pytest.raises(InvalidInputError, match="field value"):
        getattr(ByteWriter(), name)(value)
