"""Columns of bytes, each in the cheapest way: one value, as they are, by Zstandard, ranks of few values.

For bytes whose bits say little about each other, Zstandard's entropy coder does what there is to do, at the
speed of memory; where tensors repeat themselves, its matches find that. Of few values it finds matches that
cost more than ranks of one, two or four bits: the low bytes of weights that were rounded once.
"""

from collections.abc import Iterable

import numpy as np
import zstandard
from numpy.typing import NDArray

from barycode.container import ByteReader, ByteWriter
from barycode.container.fields import encode_varint
from barycode.errors import CorruptFileError

CONSTANT, RAW, PACKED, RANKS = range(4)
MOST_RANKED = 16  # values
SAMPLE = 2**15
WORTH = 0.985  # of a plane's bytes: packed below
FAST = 1
THOROUGH = 9
_WINDOW = 2**23


def write_plane(writer: ByteWriter, plane: NDArray[np.uint8], level: int = FAST) -> None:
    """A byte that says how, and the bytes (n,), n > 0."""
    if (plane == plane[0]).all():
        writer.u8(CONSTANT)
        writer.u8(int(plane[0]))
        return
    least = WORTH * plane.size
    ranked = _ranked(plane)
    if ranked is not None:
        least = min(least, len(ranked))
    if level > FAST or _promising(plane):
        packed = _compressor(level).compress(plane.data)
        if len(encode_varint(len(packed))) + len(packed) < least:
            writer.u8(PACKED)
            writer.blob(packed)
            return
    if ranked is not None and len(ranked) == least:
        writer.u8(RANKS)
        writer.raw(ranked)
        return
    writer.u8(RAW)
    writer.raw(plane.tobytes())


def read_plane(reader: ByteReader, count: int) -> NDArray[np.uint8]:
    """The `count` bytes, at least one, that `write_plane` wrote."""
    way = reader.u8()
    if way == CONSTANT:
        return np.full(count, reader.u8(), np.uint8)
    if way == RAW:
        plane = np.frombuffer(reader.raw(count), np.uint8)
    elif way == PACKED:
        plane = _unpacked(reader.blob(), count)
    elif way == RANKS:
        plane = _of_ranks(reader, count)
    else:
        raise CorruptFileError(
            f"Bytes of a tensor are stored in way {way}, which does not exist: damaged file."
        )
    if plane[0] == plane[-1] and (plane == plane[0]).all():
        raise CorruptFileError("Bytes of a tensor that are all the same are not stored so: damaged file.")
    return plane


def planes_of(values: NDArray, planes: Iterable[int]) -> list[NDArray[np.uint8]]:
    """The bytes of unsigned integers (n,) at the given places, lowest first."""
    columns = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    split = columns.view(np.uint8).reshape(len(values), -1)
    return [np.ascontiguousarray(split[:, place]) for place in planes]


def _ranked(plane: NDArray[np.uint8]) -> bytes | None:
    """How many values less one, the values in order, the ranks of the bytes; None for many values."""
    if np.count_nonzero(np.bincount(plane[:: -(-plane.size // SAMPLE)])) > MOST_RANKED:
        return None
    values = np.flatnonzero(np.bincount(plane)).astype(np.uint8)
    if len(values) > MOST_RANKED:
        return None
    ranks = np.zeros(256, np.uint8)
    ranks[values] = np.arange(len(values))
    width = _rank_bits(len(values))
    split = np.pad(ranks[plane], (0, -plane.size % (8 // width))).reshape(-1, 8 // width)
    joined = sum(split[:, place] << np.uint8(width * place) for place in range(8 // width))
    return bytes([len(values) - 1]) + values.tobytes() + np.asarray(joined, np.uint8).tobytes()


def _of_ranks(reader: ByteReader, count: int) -> NDArray[np.uint8]:
    number = reader.u8() + 1
    if not 2 <= number <= MOST_RANKED:
        raise CorruptFileError(f"Bytes of a tensor are ranks of {number} values: the file is damaged.")
    values = np.frombuffer(reader.raw(number), np.uint8)
    width = _rank_bits(number)
    joined = np.frombuffer(reader.raw(-(-count * width // 8)), np.uint8)
    split = joined[:, None] >> np.arange(0, 8, width, dtype=np.uint8) & np.uint8(2**width - 1)
    ranks = split.ravel()
    used = np.bincount(ranks[:count], minlength=number)
    if len(used) > number or not used.all() or ranks[count:].any() or (values[1:] <= values[:-1]).any():
        raise CorruptFileError("Ranks of bytes are not those that an encoder writes: the file is damaged.")
    return values[ranks[:count]]


def _rank_bits(values: int) -> int:
    """One, two or four: ranks do not cross bytes."""
    return 1 if values == 2 else 2 if values <= 4 else 4


def _compressor(level: int) -> zstandard.ZstdCompressor:
    if level > FAST:
        return zstandard.ZstdCompressor(level=level)
    # Matches are rare and costly: a table that finds only the nearest leaves the entropy coder alone.
    parameters = zstandard.ZstdCompressionParameters(
        strategy=zstandard.STRATEGY_DFAST, window_log=17, hash_log=6, chain_log=6, search_log=1, min_match=7
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


def _promising(plane: NDArray[np.uint8]) -> bool:
    """Whether a sample says that there is something to gain."""
    some = plane[:: -(-plane.size // SAMPLE)]
    counts = np.bincount(some, minlength=256)
    shares = counts[counts > 0] / some.size
    return bool(-(shares * np.log2(shares)).sum() < 8 * WORTH)


def _unpacked(packed: bytes, count: int) -> NDArray[np.uint8]:
    try:
        if zstandard.frame_content_size(packed) != count:
            raise CorruptFileError(
                "Bytes of a tensor are not as many as it has entries: the file is damaged."
            )
        plain = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompress(
            packed, max_output_size=count, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise CorruptFileError(f"Bytes of a tensor do not unpack ({error}): the file is damaged.") from error
    if len(plain) != count:
        raise CorruptFileError("Bytes of a tensor are not as many as it has entries: the file is damaged.")
    return np.frombuffer(plain, np.uint8)
