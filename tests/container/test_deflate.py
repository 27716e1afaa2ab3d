import zlib

import pytest

from barycode.container import inflate
from barycode.errors import CorruptFileError

DATA = bytes(range(100))
DEFLATED = zlib.compress(DATA)


def test_the_bytes_come_back():
    assert inflate(DEFLATED, 100, "x") == DATA
    assert inflate(zlib.compress(b""), 0, "x") == b""


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (DEFLATED, 99), (DEFLATED, 101), (DEFLATED, 0), (DEFLATED[:-1], 100), (DEFLATED + b"\0", 100),
        (DEFLATED[:20], 100), (b"", 0), (DATA, 100), (zlib.compress(bytes(2**26)), 100),
    ],
)  # fmt: skip
def test_anything_else_is_damaged(data, size):
    with pytest.raises(CorruptFileError, match=r"The plane .*damaged"):
        inflate(data, size, "The plane")
