"""Little-endian fields inside a payload: a writer, and a reader that checks every bound."""

from barycode.errors import CorruptFileError, InvalidInputError

MAX_VARINT_BYTES = 10
MAX_VARINT = 2**64 - 1


class ByteWriter:
    """Appends fields; every method mirrors one of `ByteReader`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def u8(self, value: int) -> None:
        self._unsigned(value, 1)

    def u16(self, value: int) -> None:
        self._unsigned(value, 2)

    def u32(self, value: int) -> None:
        self._unsigned(value, 4)

    def varint(self, value: int) -> None:
        """An integer from 0 to 2**64 - 1, seven bits a byte, least significant first (LEB128)."""
        self.raw(encode_varint(value))

    def raw(self, data: bytes) -> None:
        """Bytes whose number the reader knows."""
        self._parts.append(bytes(data))

    def blob(self, data: bytes) -> None:
        """Bytes after their number."""
        self.varint(len(data))
        self.raw(data)

    def text(self, text: str) -> None:
        """UTF-8 after its number of bytes."""
        self.blob(text.encode())

    @property
    def size(self) -> int:
        """Bytes so far."""
        return sum(map(len, self._parts))

    def finish(self) -> bytes:
        return b"".join(self._parts)

    def _unsigned(self, value: int, size: int) -> None:
        if not 0 <= value < 256**size:
            raise InvalidInputError(f"The field value {value} does not fit {8 * size} unsigned bits.")
        self.raw(value.to_bytes(size, "little"))


class ByteReader:
    """Reads fields from a payload; CorruptFileError, with its `name`, beyond its end or at a bad field."""

    def __init__(self, data: bytes, name: str = "A section") -> None:
        self._name = name
        self._data = memoryview(data)
        self._position = 0

    @property
    def remaining(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._position

    def u8(self) -> int:
        return self.raw(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.raw(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self.raw(4), "little")

    def varint(self) -> int:
        """An integer as `ByteWriter.varint` writes it: longer forms of the same number are corrupt."""
        encoded = bytearray()
        while not encoded or encoded[-1] & 0x80:
            encoded.append(self.u8())
            if len(encoded) > MAX_VARINT_BYTES:
                break
        return decode_varint(bytes(encoded))

    def raw(self, size: int) -> bytes:
        if not 0 <= size <= self.remaining:
            raise CorruptFileError(
                f"{self._name} ends {size - self.remaining} bytes too early: the file is damaged."
            )
        start = self._position
        self._position += size
        return bytes(self._data[start : self._position])

    def blob(self) -> bytes:
        return self.raw(self.varint())

    def text(self) -> str:
        try:
            return self.blob().decode()
        except UnicodeDecodeError as error:
            raise CorruptFileError("A text field is not UTF-8: the file is damaged.") from error

    def finish(self) -> None:
        """Raise unless everything has been read."""
        if self.remaining:
            raise CorruptFileError(
                f"{self.remaining} unexpected bytes follow the last field: the file is damaged."
            )


def encode_varint(value: int) -> bytes:
    """LEB128: seven bits a byte, least significant first; the high bit says that more bytes follow."""
    if not 0 <= value <= MAX_VARINT:
        raise InvalidInputError(f"The field value {value} is not an integer from 0 to 2**64 - 1.")
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_varint(encoded: bytes) -> int:
    """The integer of one complete varint; CorruptFileError for a needlessly long form or over 64 bits."""
    value = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(encoded))
    if value > MAX_VARINT or encode_varint(value) != encoded:
        raise CorruptFileError("A variable-length integer is malformed: the file is damaged.")
    return value
