"""Symbols in lanes as bytes: frequencies, states, words."""

import numpy as np
import zstandard
from numpy.typing import NDArray

from barycode.container import ByteReader, ByteWriter
from barycode.errors import CorruptFileError
from barycode.weights.entropy_coding.byte_planes import planes_of, read_plane, write_plane
from barycode.weights.entropy_coding.lanes import ALPHABET, TOTAL, LaneTables, decode, encode

STATE_BYTES = 4


def write_symbols(
    writer: ByteWriter,
    symbols: NDArray[np.uint8],
    rows: NDArray[np.uint8],
    tables: int,
    carried: NDArray[np.uint16],
) -> None:
    """Symbols (n,) under their rows (n,) of so many tables; `carried` (lanes,) comes back with them."""
    places = rows.astype(np.int64) << 8
    places |= symbols
    frequencies = LaneTables.of(np.bincount(places, minlength=tables * ALPHABET).reshape(tables, ALPHABET))
    states, words = encode(places, frequencies, carried)
    packed = frequencies.frequencies.astype("<u2").tobytes()
    writer.blob(zstandard.ZstdCompressor(level=19).compress(packed))
    for plane in planes_of(states, range(STATE_BYTES)):
        write_plane(writer, plane)
    writer.blob(words.astype("<u2").tobytes())


def read_symbols(
    reader: ByteReader, rows: NDArray[np.uint8], tables: int, lanes: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """The symbols, and what was carried; CorruptFileError for what `write_symbols` does not write."""
    frequencies = _read_frequencies(reader.blob(), tables)
    states = np.zeros(lanes, np.uint32)
    for place in range(STATE_BYTES):
        states |= read_plane(reader, lanes).astype(np.uint32) << 8 * place
    packed = reader.blob()
    if len(packed) % 2:
        raise CorruptFileError("Coded symbols have half a word: the file is damaged.")
    return decode(states, np.frombuffer(packed, "<u2").astype(np.uint16), rows, frequencies)


def _read_frequencies(data: bytes, tables: int) -> LaneTables:
    size = 2 * tables * ALPHABET
    try:
        known = zstandard.frame_content_size(data) == size
        plain = zstandard.ZstdDecompressor().decompress(data, size, allow_extra_data=False) if known else b""
    except zstandard.ZstdError as error:
        raise CorruptFileError(f"A table of frequencies does not unpack ({error}): damaged file.") from error
    if len(plain) != size:
        raise CorruptFileError("A table of frequencies has another size: the file is damaged.")
    frequencies = np.frombuffer(plain, "<u2").astype(np.int64).reshape(tables, ALPHABET)
    if (frequencies.sum(1) != TOTAL).any():
        raise CorruptFileError("A table of frequencies does not add up: the file is damaged.")
    return LaneTables(frequencies)
