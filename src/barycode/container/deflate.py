"""Deflated bytes whose number is known: nothing larger comes out of them, and nothing follows them."""

import zlib

from barycode.errors import CorruptFileError


def inflate(data: bytes, size: int, what: str) -> bytes:
    """The `size` bytes of a whole zlib stream; CorruptFileError, which names `what`, for any other."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise CorruptFileError(f"{what} cannot be inflated: the file is damaged.") from error
    if len(plain) != size or not inflater.eof or inflater.unused_data:
        raise CorruptFileError(f"{what} should inflate to {size} bytes and no more: the file is damaged.")
    return plain
