"""What of docs/format.md the attacks need: varints, coded symbols, Zstandard frames, planes, lossless WebP.

Written from the specification, without Barycode: frames and pictures are the plainest that there are.
"""

from collections.abc import Iterable

SUM = 2**24  # of the entries of a table


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def blob(data: bytes) -> bytes:
    return varint(len(data)) + data


def coded(symbols: Iterable[tuple[int, int]]) -> bytes:
    """Symbols, each the first of its integers and how many it owns, as the shortest fraction."""
    lower, size, width = 0, 2**64 - 1, 64
    for start, count in symbols:
        scale = size >> 24
        lower, size = lower + scale * start, scale * count
        if size < 2**32:
            lower, size, width = lower << 32, size << 32, width + 32
    for length in range(width // 8 + 1):
        unit = 1 << (width - 8 * length)
        value = -(-lower // unit)
        if value * unit < lower + size:
            return value.to_bytes(length, "big")
    raise AssertionError("an interval is never empty")


def uniform(bits: int, *values: int) -> list[tuple[int, int]]:
    """Uniform integers of at most 16 bits."""
    return [(value * (SUM >> bits), SUM >> bits) for value in values]


def frame(*blocks: bytes | tuple[int, int], size: int | None = None) -> bytes:
    """A Zstandard frame (RFC 8878) of blocks: bytes as they are, or a byte and how often it comes."""
    plain = [(0, len(b), b) if isinstance(b, bytes) else (1, b[1], bytes([b[0]])) for b in blocks]
    total = sum(count for _, count, _ in plain) if size is None else size
    form, told = (0, total.to_bytes(1, "little")) if total < 256 else (2, total.to_bytes(4, "little"))
    out = b"\x28\xb5\x2f\xfd" + bytes([form << 6 | 32]) + told
    for number, (kind, count, data) in enumerate(plain):
        last = number == len(plain) - 1
        out += (last | kind << 1 | count << 3).to_bytes(3, "little") + data
    return out


def plane(data: bytes) -> bytes:
    """A plane as bytes: one, where all are the same."""
    return b"\0" + data[:1] if len(set(data)) == 1 else b"\1" + data


def webp(width: int, height: int, alpha: int | None = None, green: int = 0) -> bytes:
    """A lossless WebP of one colour: its five codes have one symbol each, so that no pixel takes a bit."""
    seen = "0000" if alpha is None else "1000"
    bits = f"{0x2F:08b}"[::-1] + f"{width - 1:014b}"[::-1] + f"{height - 1:014b}"[::-1] + seen
    bits += "000"  # no transform, cache, or groups
    for symbol in (green, 0, 0, alpha or 0, 0):
        bits += "101" + f"{symbol:08b}"[::-1]  # a simple code of one symbol
    bits += "0" * (-len(bits) % 8)
    data = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    return riff(b"VP8L", data)


def riff(kind: bytes, data: bytes) -> bytes:
    inner = kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)
    return b"RIFF" + (4 + len(inner)).to_bytes(4, "little") + b"WEBP" + inner
