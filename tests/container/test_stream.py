import io
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barycode.container import ContainerReader, ContainerWriter, Section, pack, stream, unpack
from barycode.container.fields import encode_varint
from barycode.container.framing import checksum
from barycode.errors import BarycodeError, CorruptFileError, InvalidInputError, UnsupportedFileError

HEADER = b"\xbaRY\x02i"
VALID = pack("imag", [Section("HEAD", bytes(range(40))), Section("TILE", b"x" * 200), Section("TILE", b"")])


def section(number: int, tag: bytes, payload: bytes, header: bytes = HEADER) -> bytes:
    frame = tag + encode_varint(len(payload))
    return frame + payload + checksum(header, number, frame, payload)


@pytest.mark.parametrize("length", range(len(VALID)))
def test_every_truncation_is_corrupt(length: int) -> None:
    with pytest.raises(CorruptFileError):
        unpack(VALID[:length])


@given(st.integers(0, len(VALID) - 1), st.integers(1, 255))
def test_every_changed_byte_is_noticed(place: int, change: int) -> None:
    damaged = bytearray(VALID)
    damaged[place] ^= change
    header = place in (3, 4)  # of a higher version or another kind, the file may be sound
    with pytest.raises((CorruptFileError, UnsupportedFileError) if header else CorruptFileError):
        unpack(bytes(damaged))


@given(
    st.lists(st.tuples(st.integers(0, len(VALID)), st.integers(0, 40), st.binary(max_size=20)), min_size=1)
)
def test_any_splices_are_noticed(splices: list[tuple[int, int, bytes]]) -> None:
    damaged = VALID
    for start, removed, inserted in splices:
        damaged = damaged[:start] + inserted + damaged[start + removed :]
    if damaged != VALID:
        with pytest.raises(BarycodeError):
            unpack(damaged)


@given(st.binary(max_size=300))
def test_any_bytes_behind_a_header_are_noticed(data: bytes) -> None:
    if data != b"\0":
        with pytest.raises(CorruptFileError):
            unpack(HEADER + data)


ATTACKS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "in the header"),
    "a text": (b"BARY, please", "not a Barycode file"),
    "another file": (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a Barycode file"),
    "version zero": (b"\xbaRY\x00i\0", "version 0"),
    "no end mark": (HEADER + section(0, b"HEAD", b""), "in the end mark"),
    "trailing byte": (VALID + b"\0", "Bytes follow"),
    "two files": (VALID + VALID, "Bytes follow"),
    "swapped sections": (
        HEADER + section(1, b"TILE", b"b") + section(0, b"TILE", b"a") + b"\0",
        "checksum of section 0",
    ),
    "dropped section": (HEADER + section(1, b"TILE", b"b") + b"\0", "checksum of section 0"),
    "section of a network": (
        HEADER + section(0, b"HEAD", b"", b"\xbaRY\x02w") + b"\0",
        "checksum of section 0",
    ),
    "lower-case tag": (HEADER + section(0, b"head", b"") + b"\0", "no valid tag"),
    "tag with a newline": (HEADER + section(0, b"HEA\n", b"") + b"\0", "no valid tag"),
    "two gigabytes": (HEADER + b"TILE" + encode_varint(2**31 - 1) + bytes(64), "too early, in section 0"),
    "four gigabytes": (HEADER + b"TILE" + encode_varint(2**32) + bytes(64), "beyond the limit"),
    "endless length": (HEADER + b"TILE" + b"\xff" * 64, "variable-length"),
    "long form of a length": (HEADER + b"TILE" + b"\x80\x00" + bytes(64), "variable-length"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_fail_with_their_sentence(name: str) -> None:
    data, sentence = ATTACKS[name]
    with pytest.raises(CorruptFileError, match=sentence):
        unpack(data)


@pytest.mark.parametrize("header", [b"\xbaRY\x03i", b"\xbaRY\xffi", b"\xbaRY\x02q", b"\xbaRY\x02\x00"])
def test_files_of_the_future(header: bytes) -> None:
    with pytest.raises(UnsupportedFileError, match="update Barycode"):
        unpack(header + b"\0")


def test_files_from_before_the_first_release() -> None:
    with pytest.raises(UnsupportedFileError, match="compress again"):
        unpack(b"\xbaRY\x01i\0")


def test_too_many_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack("imag", [Section("TILE", b"")] * 4)
    monkeypatch.setattr(stream, "MAX_SECTIONS", 3)
    with pytest.raises(CorruptFileError, match="over 3 sections"):
        unpack(data)
    with pytest.raises(InvalidInputError, match="too much for one file"):
        pack("imag", [Section("TILE", b"")] * 4)
    monkeypatch.setattr(stream, "MAX_SECTIONS", 4)
    assert len(unpack(data).sections) == 4


def test_too_long_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_SECTION_BYTES", 10)
    with pytest.raises(InvalidInputError, match="too much for one file"):
        pack("imag", [Section("TILE", bytes(11))])


def test_closing() -> None:
    target = io.BytesIO()
    writer = ContainerWriter(target, "imag")
    writer.close()
    writer.close()
    assert target.getvalue() == HEADER + b"\0"
    with pytest.raises(InvalidInputError, match="comes after close"):
        writer.add(Section("HEAD", b""))


def test_an_interrupted_file_has_no_end() -> None:
    target = io.BytesIO()

    def interrupted() -> None:
        with ContainerWriter(target, "imag") as writer:
            writer.add(Section("HEAD", b""))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(CorruptFileError, match="end mark"):
        unpack(target.getvalue())


class Dripping(io.BytesIO):
    """A pipe: gives less than was asked for."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 7))


def test_a_stream_may_give_less_than_was_asked_for() -> None:
    assert [part.tag for part in ContainerReader(Dripping(VALID))] == ["HEAD", "TILE", "TILE"]


class Synthetic(io.RawIOBase):
    """A long file that exists only as it is read."""

    def __init__(self, count: int, payload: bytes) -> None:
        self._rest = (section(number, b"TILE", payload) for number in range(count))
        self._buffer = io.BytesIO(HEADER)
        self._end = io.BytesIO(b"\0")

    def read(self, size: int = -1) -> bytes:
        data = self._buffer.read(size)
        if data or size == 0:
            return data
        self._buffer = io.BytesIO(next(self._rest, b"")) if self._buffer is not self._end else self._end
        if not self._buffer.getbuffer():
            self._buffer = self._end
        return self._buffer.read(size)


def peak_memory(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file() -> None:
    count, payload = 48, bytes(2**20)
    peak = peak_memory(lambda: [len(part.payload) for part in ContainerReader(Synthetic(count, payload))])
    assert peak < 8 * len(payload)


def test_a_claimed_length_costs_no_memory() -> None:
    data, sentence = ATTACKS["two gigabytes"]

    def attempt() -> None:
        with pytest.raises(CorruptFileError, match=sentence):
            unpack(data)

    assert peak_memory(attempt) < 4 * 2**20
