"""Small integers in a payload, written and read with bounds checked."""

from barycode.errors import CorruptFileError, InvalidInputError

MAX_VARINT_BYTES = 9


class ByteWriter:
    """Builds a payload field by field, little endian."""

    def __init__(self) -> None:
        self._data = bytearray()

    def u8(self, value: int) -> None:
        if not 0 <= value < 256:
            raise InvalidInputError(f"The field value {value} does not fit in a byte.")
        self._data.append(value)

    def varint(self, value: int) -> None:
        """Seven bits a byte, lowest first; the top bit says that more follow (LEB128)."""
        if not 0 <= value < 2 ** (7 * MAX_VARINT_BYTES):
            raise InvalidInputError(f"The field value {value} is out of range: expected 0 to 2**63 - 1.")
        while value >= 128:
            self._data.append(value & 127 | 128)
            value >>= 7
        self._data.append(value)

    def raw(self, data: bytes) -> None:
        """Bytes whose number the reader knows."""
        self._data += data

    def blob(self, data: bytes) -> None:
        """Bytes with their number before them."""
        self.varint(len(data))
        self._data += data

    def text(self, value: str) -> None:
        self.blob(value.encode())

    def finish(self) -> bytes:
        return bytes(self._data)


class ByteReader:
    """Reads a payload field by field; whatever is not there raises CorruptFileError."""

    def __init__(self, data: bytes, name: str = "a section") -> None:
        self._data = memoryview(data)
        self._at = 0
        self._name = name

    def u8(self) -> int:
        return self.raw(1)[0]

    def varint(self) -> int:
        value = 0
        for place in range(MAX_VARINT_BYTES):
            byte = self.u8()
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                return value
        raise CorruptFileError(f"A number in {self._name} is too long: the file is damaged.")

    def raw(self, size: int) -> bytes:
        if size > self.remaining:
            raise CorruptFileError(f"{self._name} ends {size - self.remaining} bytes too early: the file is damaged.")
        self._at += size
        return bytes(self._data[self._at - size : self._at])

    def blob(self) -> bytes:
        return self.raw(self.varint())

    def text(self) -> str:
        try:
            return self.blob().decode()
        except UnicodeDecodeError as error:
            raise CorruptFileError(f"A name in {self._name} is not UTF-8: the file is damaged.") from error

    @property
    def remaining(self) -> int:
        return len(self._data) - self._at

    def finish(self) -> None:
        """Raise unless everything was read."""
        if self.remaining:
            raise CorruptFileError(f"{self._name} has {self.remaining} bytes too many: the file is damaged.")
