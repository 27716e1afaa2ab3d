"""Files that must be refused, written from docs/format.md: `python attacks/make.py` writes them to files/.

Nothing of Barycode's writers is used. Every attack has the error that it must meet: its type, and a part of
its sentence. Large ones are not kept in the repository; the test makes them when it runs.
"""

import hashlib
import json
import math
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from coding import blob, coded, frame, plane, riff, uniform, varint, webp

HERE = Path(__file__).parent
LARGEST = 4096  # bytes of a file that is kept
CORRUPT, UNSUPPORTED = "CorruptFileError", "UnsupportedFileError"


@dataclass(frozen=True)
class Attack:
    """`reader` names the call that must refuse `data` (see run.py), with this error and sentence; some files
    that others are made from are sound, and their error is "none".
    """

    name: str
    reader: str
    data: bytes
    sentence: str
    error: str = CORRUPT


def header(kind: str, version: int = 2) -> bytes:
    return b"\xbaRY" + bytes([version]) + kind.encode()


def section(kind: str, number: int, tag: str, payload: bytes) -> bytes:
    frame = tag.encode() + varint(len(payload))
    check = zlib.crc32(header(kind) + number.to_bytes(4, "little") + frame + payload)
    return frame + payload + check.to_bytes(4, "little")


def file(kind: str, *sections: tuple[str, bytes]) -> bytes:
    parts = [section(kind, number, tag, payload) for number, (tag, payload) in enumerate(sections)]
    return header(kind) + b"".join(parts) + b"\0"


def containers() -> Iterator[Attack]:
    """The outer form."""
    sound = file("i", ("HEAD", b"abc"), ("TILE", b"xyz"))
    head, tile = section("i", 0, "HEAD", b"abc"), section("i", 1, "TILE", b"xyz")
    old, new = header("i", 1), header("i", 3)
    for name, data, sentence, *error in (
        ("empty", b"", "in the header"),
        ("text", b"BARY, please", "not a Barycode file"),
        ("png", b"\x89PNG\r\n\x1a\n" + bytes(24), "not a Barycode file"),
        ("version-0", header("i", 0) + sound[5:], "version 0"),
        ("version-1", old + sound[5:], "before the first release", UNSUPPORTED),
        ("version-3", new + sound[5:], "update Barycode", UNSUPPORTED),
        ("unknown-kind", header("q") + b"\0", "update Barycode", UNSUPPORTED),
        ("no-end-mark", sound[:-1], "in the end mark"),
        ("byte-behind-the-end", sound + b"\0", "Bytes follow the end"),
        ("two-files-joined", sound + sound, "Bytes follow the end"),
        ("sections-swapped", header("i") + tile + head + b"\0", "checksum of section 0"),
        ("section-dropped", header("i") + tile + b"\0", "checksum of section 0"),
        ("section-doubled", header("i") + head + head + tile + b"\0", "checksum of section 1"),
        ("section-of-a-network", header("i") + section("w", 0, "HEAD", b"") + b"\0", "checksum of section 0"),
        ("payload-changed", sound.replace(b"xyz", b"xyy"), "checksum of section 1"),
        ("tag-in-lower-case", header("i") + section("i", 0, "head", b"") + b"\0", "no valid tag"),
        ("tag-with-newline", header("i") + section("i", 0, "HEA\n", b"") + b"\0", "no valid tag"),
        ("claims-two-gigabytes", header("i") + b"TILE" + varint(2**31 - 1) + bytes(64), "bytes too early"),
        ("claims-four-gigabytes", header("i") + b"TILE" + varint(2**32) + bytes(64), "beyond the limit"),
        ("length-without-end", header("i") + b"TILE" + b"\xff" * 64, "variable-length"),
        ("length-in-long-form", header("i") + b"TILE" + b"\x80\x00" + bytes(64), "variable-length"),
    ):
        yield Attack(f"container-{name}", "container", data, sentence, *error)


def record(n: int, k: int, s: int, levels: int, known: bytes, stream: bytes) -> bytes:
    head = n.to_bytes(4, "little") + k.to_bytes(2, "little") + bytes([s, levels])
    return file("v", ("MSET", head + known + stream))


def multisets() -> Iterator[Attack]:
    """Sparse convex codes. One code vector and one shape take no symbols at all."""
    full = b"\xff"
    for name, data, sentence in (
        ("31-bytes-for-33-million", record(2**25, 1, 1, 1, full * 2, b""), "takes at least 32768"),
        ("4-billion", record(2**32 - 1, 1, 1, 1, full * 2, b""), "cannot be"),
        ("no-code-vectors", record(1, 0, 1, 1, full * 2, b"\0"), "cannot be"),
        ("too-many-code-vectors", record(1, 2049, 1, 1, full * 2050, b"\0"), "cannot be"),
        ("support-beyond-levels", record(1, 9, 3, 2, full * 12, b"\0"), "cannot be"),
        ("17-levels", record(1, 9, 2, 17, full * 26, b"\0"), "cannot be"),
        ("odds-of-zero", record(1, 2, 1, 1, b"\xff\0\xff", b"\0"), "cannot be"),
        ("odds-not-in-full", record(1, 2, 1, 1, b"\x80\x80\xff", b"\0"), "cannot be"),
        ("tables-cut", record(1, 9, 2, 3, full * 5, b""), "cannot be"),
        ("zeros-behind", record(1, 1, 1, 1, full * 2, b"\0\0"), "do not end as an encoder"),
        ("symbols-behind", record(1, 1, 1, 1, full * 2, b"\x01"), "do not end as an encoder"),
        (
            "none-but-symbols",
            record(0, 2048, 16, 16, full * (2048 + 2**15), b"\x01"),
            "do not end as an encoder",
        ),
    ):
        yield Attack(f"multisets-{name}", "multisets", data, sentence)


def directory(
    shapes: list[tuple[int, ...]], ties: list[int] | None = None, names: bytes = b"", **other: bytes
) -> bytes:
    """HEAD of float32 tensors a, b, c ... of these shapes, deflated."""
    joined = names or b"\0".join(b"abcdefgh"[i : i + 1] for i in range(len(shapes)))
    plain = varint(len(shapes)) + varint(len(joined)) + joined + other.get("dtypes", bytes(len(shapes)))
    plain += b"".join(map(varint, ties or [0] * len(shapes)))
    plain += b"".join(varint(len(shape)) + b"".join(map(varint, shape)) for shape in shapes)
    text = other.get("metadata", b"")
    return zlib.compress(plain + varint(len(text)) + text, 9)


def indices() -> Iterator[tuple[Any, ...]]:
    """Of a file of two parts, which is sound with one index at its end."""
    count = 2**12  # tensors of a part, without entries
    names = b"\0".join(b"%d" % number for number in range(count + 1))
    parts = (varint(count) + bytes(count) + varint(0), varint(1) + b"\0" + varint(0))
    sections = [("HEAD", directory([(0,)] * (count + 1), names=names)), *(("PART", part) for part in parts)]
    told = varint(3) + b"".join(
        bytes([kind]) + varint(len(payload)) for kind, (_, payload) in zip((0, 3, 3), sections, strict=True)
    )
    index = ("INDX", told + struct.pack("<I", len(told) + 4))
    yield "indexed", file("w", *sections, index), "", "none"
    yield "indexed-twice", file("w", *sections, index, index), "Sections follow the index"
    yield "indexed-in-the-middle", file("w", *sections[:2], index, sections[2]), "not that of the file"
    yield "not-indexed", file("w", *sections), "have an index"


def networks() -> Iterator[Attack]:
    """Directories that claim what cannot be, and files that do not hold what they claim."""
    one = directory([(2, 2)])
    empty = varint(1) + b"\0" + varint(0)  # a part of a tensor without entries
    sound = ("HEAD", directory([(0,)])), ("PART", empty)
    codebook = b"\0" + varint(1) + struct.pack("<2f", 0, 1)

    def network(head: bytes, *parts: bytes) -> bytes:
        return file("w", ("HEAD", head), *(("PART", part) for part in parts))

    for name, data, sentence, *error in (
        *indices(),
        ("no-directory", file("w"), "directory"),
        ("part-first", file("w", ("PART", b"\1\0\0")), "directory"),
        ("nothing-but-a-directory", network(one), "ends before"),
        ("unknown-section", file("w", ("HEAD", directory([])), ("NEWS", b"")), "NEWS", UNSUPPORTED),
        ("a-picture", file("i", ("HEAD", b"")), "not a network", UNSUPPORTED),
        ("directory-not-deflated", network(b"abc"), "directory"),
        ("directory-cut", network(one[:-3]), "directory"),
        ("directory-with-more-behind", network(one + b"x"), "directory"),
        ("a-name-twice", network(directory([(1,), (1,)], names=b"a\0a")), "names"),
        ("a-name-too-few", network(directory([(1,), (1,)], names=b"a")), "names"),
        ("name-not-text", network(directory([(1,)], names=b"\xff\xfe")), "UTF-8"),
        ("number-format-200", network(directory([(1,)], dtypes=b"\xc8")), "number format 200", UNSUPPORTED),
        ("a-million-dimensions", network(directory([(1,) * 65])), "dimensions"),
        ("shape-of-2-to-the-40", network(directory([(2**20, 2**20)])), "without its empty extents"),
        (
            "shape-of-zero-and-2-to-the-40",
            network(directory([(2**20, 2**20, 0)])),
            "without its empty extents",
        ),
        ("tied-to-itself", network(directory([(1,)], ties=[1])), "tied"),
        ("tied-to-another-shape", network(directory([(1,), (2,)], ties=[0, 1])), "tied"),
        ("metadata-not-json", network(directory([], metadata=b"{")), "etadata"),
        ("metadata-deep", network(directory([], metadata=b"[" * 10**5)), "etadata"),
        ("no-tensors-in-a-part", network(one, b"\0\0"), "claims 0 tensors"),
        ("codebook-behind-the-tensors", file("w", *sound, ("BOOK", codebook)), "codebook is not used"),
        (
            "codebook-that-nothing-uses",
            file("w", sound[0], ("BOOK", codebook), sound[1]),
            "codebook is not used",
        ),
    ):
        yield Attack(f"network-{name}", "network", data, sentence, *error)


FLOAT, HALF, FLOAT8, INTEGER, BYTE = 0, 1, 7, 15, 12  # dtypes
BASE = uniform(13, 4096)  # the scale 0
SAME = 8192  # a frequency of all: a state stays as it is


def frequencies(rows: int, symbol: int = 0, count: int = SAME, size: int | None = None) -> bytes:
    """The same one symbol in every row, as a frame after its length."""
    row = bytes(2 * symbol), count.to_bytes(2, "little"), bytes(2 * (255 - symbol))
    runs = [part if len(part) == 2 else (0, len(part)) for part in row if part]
    return blob(frame(*rows * runs, size=size))


def state(value: int) -> bytes:
    """One state, as four planes."""
    return b"".join(plane(bytes([byte])) for byte in value.to_bytes(4, "little"))


def floats(
    count: int,
    symbol: int = 8 << 4,
    table: bytes = b"",
    carried: int = 2**16,
    words: bytes = b"",
    exponents: bytes = b"",
    rest: tuple[bytes, ...] = (),
) -> bytes:
    """A group of method 8 of at most 31 float32 of one symbol: one lane."""
    last = (count + 1) // 2 - 2  # the first two bytes are the state's
    planes = rest or (plane(bytes(count)), plane(bytes(count)), plane(bytes(last)) if last > 0 else b"")
    return (table or frequencies(4, symbol)) + state(carried) + blob(words) + exponents + b"".join(planes)


def integers(
    symbol: int, table: bytes = b"", words: bytes = b"", rest: bytes = b"", start: int = 2**16
) -> bytes:
    """A group of method 10 of at most 511 int32 of one symbol."""
    return (table or frequencies(16, symbol)) + state(start) + blob(words) + rest


def lanes() -> Iterator[Attack]:
    """Methods 8, 9 and 10: groups of bytes beside the coded symbols. Sound ones come first."""

    def network(method: int, dtype: int, count: int, group: bytes | None, base: list = BASE) -> bytes:
        stream = b"" if method == 9 else coded(base)
        part = varint(1) + bytes([method]) + blob(stream) + (b"" if group is None else blob(group))
        return file("w", ("HEAD", directory([(count,)], dtypes=bytes([dtype]))), ("PART", part))

    def fields(group: bytes | None, count: int = 16, dtype: int = FLOAT, base: list = BASE) -> bytes:
        return network(8, dtype, count, group, base)

    def planes(group: bytes | None, count: int = 16, dtype: int = BYTE) -> bytes:
        return network(9, dtype, count, group)

    def lengths(group: bytes | None, count: int = 16, dtype: int = INTEGER) -> bytes:
        return network(10, dtype, count, group)

    ranks = "Ranks of bytes are not those"
    zeros, half = plane(bytes(16)), b"\x01" + bytes(7) + b"\x10"
    low = (plane(bytes(17)), plane(bytes(17)))
    beyond, never = "exponents that its numbers cannot have", "No encoder writes these coded symbols"
    long = 8 + 4 * (5 - 4)  # of length 5: two more bits each
    told, high = floats(16, 0, exponents=plane(bytes([124] * 16))), frequencies(16, 5, SAME + 1)
    odd = floats(17, rest=(*low, half[:1] + half[2:]))
    for name, data, sentence in (
        ("fields-sound", fields(floats(16)), ""),
        ("fields-table-too-low", fields(floats(16, table=frequencies(4, 128, SAME - 1))), "does not add up"),
        ("fields-table-too-high", fields(floats(16, table=frequencies(4, 128, SAME + 1))), "does not add up"),
        ("fields-table-of-three-rows", fields(floats(16, table=frequencies(3, 128))), "another size"),
        ("fields-table-that-lies", fields(floats(16, table=frequencies(3, 128, size=2048))), "frequencies"),
        ("fields-table-cut", fields(floats(16, table=blob(frame((0, 2048))[:-1]))), "frequencies"),
        ("fields-table-no-frame", fields(floats(16, table=blob(bytes(2048)))), "frequencies"),
        ("fields-state-too-low", fields(floats(16, carried=2**16 - 1)), "end too early"),
        ("fields-state-too-high", fields(floats(16, carried=2**17)), never),
        ("fields-word-behind", fields(floats(16, words=b"\1\1")), never),
        ("fields-half-a-word", fields(floats(16, words=b"\1")), "half a word"),
        ("fields-no-exponents", fields(floats(16, symbol=0, rest=(b"",))), "group of floats"),
        (
            "fields-exponents-of-symbols",
            fields(told),
            "would say",
        ),
        ("fields-exponents-of-zero", fields(floats(16, 0, exponents=plane(bytes(16)))), "would say"),
        ("fields-exponents-told", fields(floats(16, 0, exponents=plane(bytes([9] * 16)))), ""),
        ("fields-exponent-below-zero", fields(floats(16), base=uniform(13, 4096 - 1000)), beyond),
        ("fields-of-two-numbers", fields(floats(2), 2), "too few"),
        ("fields-of-one-number", fields(floats(1, rest=3 * (plane(b"\0"),)), 1), "too few"),
        ("fields-of-integers", fields(floats(16), dtype=INTEGER), "has not the fields"),
        ("fields-of-bytes", fields(floats(16), dtype=FLOAT8), "has not the fields"),
        ("fields-of-nothing", fields(floats(16), 0), "has not the fields"),
        ("fields-without-a-group", fields(None), "ends"),
        ("fields-behind", fields(floats(16) + b"\0"), "follow"),
        (
            "fields-half-a-byte-behind",
            fields(odd, 17),
            "Half a byte",
        ),
        ("planes-sound", planes(plane(bytes(range(16)))), ""),
        ("planes-packed", planes(b"\2" + blob(frame(bytes(range(16))))), ""),
        ("planes-in-way-4", planes(b"\4" + bytes(16)), "way 4"),
        ("planes-ranks-sound", planes(b"\3\1\5\x09\0\x80"), ""),
        ("planes-ranks-of-17", planes(b"\3\x10" + bytes(range(17)) + bytes(8)), "ranks of 17 values"),
        ("planes-ranks-of-one", planes(b"\3\0\5\0\0"), "ranks of 1 values"),
        ("planes-ranks-out-of-order", planes(b"\3\1\x09\5\0\x80"), ranks),
        ("planes-ranks-beyond", planes(b"\3\2\5\6\7\0\x80\x40\xc0"), ranks),
        ("planes-ranks-not-used", planes(b"\3\2\5\6\7\0\x40\x40\x40"), ranks),
        ("planes-ranks-behind", planes(b"\3\1\5\x09\1\x80", 15), ranks),
        ("planes-all-the-same", planes(b"\1" + bytes(16)), "all the same"),
        ("planes-packed-all-the-same", planes(b"\2" + blob(frame((7, 16)))), "all the same"),
        ("planes-cut", planes(b"\1" + bytes(range(15))), "ends"),
        ("planes-bomb", planes(b"\2" + blob(frame(*[(0, 2**17)] * 900))), "not as many"),
        ("planes-that-lie", planes(b"\2" + blob(frame(*[(0, 2**17)] * 900, size=16))), "unpack"),
        ("planes-frame-short", planes(b"\2" + blob(frame((0, 9), size=16))), "unpack"),
        ("planes-behind-a-frame", planes(b"\2" + blob(frame(bytes(range(16))) + b"\0")), "unpack"),
        ("planes-two-frames", planes(b"\2" + blob(2 * frame(bytes(range(16))))), "unpack"),
        ("planes-too-few", planes(3 * zeros, dtype=FLOAT), "ends"),
        ("planes-too-many", planes(2 * plane(bytes(range(16)))), "follow"),
        ("planes-of-nothing", planes(b"\0\0", 0), "has not the fields"),
        ("lengths-sound", lengths(integers(5)), ""),
        ("lengths-of-bytes-sound", lengths(integers(200), dtype=BYTE), ""),
        ("lengths-longer", lengths(integers(long, rest=plane(b"\x1b" * 4))), ""),
        ("lengths-without-bits", lengths(integers(long)), "ends"),
        ("lengths-beyond-the-type", lengths(integers(8 + 4 * 29), 16), "longer than its type"),
        ("lengths-bits-behind", lengths(integers(long, rest=b"\0\x1b"), 3), "Bits follow"),
        ("lengths-behind", lengths(integers(5, rest=b"\0")), "follow"),
        ("lengths-table-of-four-rows", lengths(integers(5, table=frequencies(4, 5))), "another size"),
        (
            "lengths-table-too-high",
            lengths(integers(5, table=high)),
            "does not add up",
        ),
        ("lengths-state-carries", lengths(integers(5, start=2**16 + 1)), never),
        ("lengths-word-behind", lengths(integers(5, words=b"\0\0")), never),
        ("lengths-of-floats", lengths(integers(5), dtype=HALF), "has not the fields"),
        ("lengths-of-nothing", lengths(integers(5), 0), "has not the fields"),
    ):
        yield Attack(f"network-{name}", "network", data, sentence, CORRUPT if sentence else "none")


TINY = HERE.parent / "tests" / "images" / "golden" / "tiny.safetensors"


def pictures() -> Iterator[Attack]:
    """Headers, sections, tiles and drawings of pictures of a small model."""
    model = hashlib.sha256(TINY.read_bytes()).digest()[:4]

    def head(width: int, height: int, mode: int = 2, known: bytes = model) -> tuple[str, bytes]:
        return "HEAD", bytes([mode]) + varint(width) + varint(height) + bytes([128]) + known

    def picture(*sections: tuple[str, bytes], size: tuple[int, int] = (8, 8)) -> bytes:
        return file("i", head(*size), *sections)

    none = coded(uniform(1, 1) + uniform(3, *[4] * 19))  # offsets that are given, and all zero
    flat, one, nan = webp(8, 8), ("TILE", b"\1"), struct.pack("<2f", 72, math.nan)
    wrong, none_of_it = "cannot be read as 8 x 8 lossless pixels", "not a valid file"
    for name, data, sentence, *error in (
        ("drawing-sound", picture(("FLAT", flat)), "", "none"),
        ("head-cut", file("i", ("HEAD", b"\2\x08")), "ends"),
        ("head-behind", file("i", (head(8, 8)[0], head(8, 8)[1] + b"\0"), ("FLAT", flat)), "follow"),
        ("head-of-mode-4", file("i", head(8, 8, 4), ("FLAT", flat)), none_of_it),
        ("head-without-width", file("i", head(0, 8), ("FLAT", flat)), none_of_it),
        ("head-of-2-to-the-29-pixels", file("i", head(2**15, 2**14), ("FLAT", flat)), none_of_it),
        ("head-of-2-to-the-64-pixels", file("i", head(2**63, 2**62), ("FLAT", flat)), none_of_it),
        ("of-an-unknown-model", file("i", head(8, 8, known=b"none"), ("TILE", b"\1")), "needs the model",
         UNSUPPORTED),
        ("no-head", file("i", ("TILE", b"\1")), "HEAD"),
        ("no-codes", picture(), "neither tiles nor a drawing"),
        ("drawing-over-everything", picture(("TILE", b"\1"), ("FLAT", flat)), "whole picture together"),
        ("drawing-of-nothing", picture(("TILE", b"\1"), ("FLAT", webp(8, 8, 0))), wrong),
        ("drawing-half-there", picture(("FLAT", webp(8, 8, 127))), wrong),
        ("drawing-below-nothing", picture(("TILE", b"\1"), ("FLAT", webp(8, 8, 0, 7))), wrong),
        ("drawing-with-idle-alpha", picture(("FLAT", webp(8, 8, 255))), wrong),
        ("two-drawings", picture(("FLAT", flat), ("FLAT", flat)), "FLAT"),
        ("a-tile-too-many", picture(("TILE", b"\1"), ("TILE", b"\1")), "2 tiles, expected 1"),
        ("a-tile-too-few", picture(("TILE", bytes(300)), size=(1025, 8)), "1 tiles, expected 2"),
        ("tile-empty", picture(("TILE", b"")), "takes at least 1"),
        ("tile-of-2-to-the-28-pixels", picture(*256 * [one], size=(2**14, 2**14)), "at least 256"),
        ("tile-of-offsets-of-zero", picture(("TILE", none)), "offsets of its scales that are all zero"),
        ("alpha-of-rgb", picture(("FLAT", flat), ("ALPH", b"\x89PNG")), "alpha and all"),
        ("rgba-without-alpha", file("i", head(8, 8, 3), ("FLAT", flat)), "alpha and all"),
        ("exif-empty", picture(("FLAT", flat), ("EXIF", b"")), "is empty"),
        ("exif-no-exif", picture(("FLAT", flat), ("EXIF", b"II*\0")), "EXIF"),
        ("dpi-not-a-number", picture(("FLAT", flat), ("DPIS", nan)), "resolution"),
        ("dpi-of-three", picture(("FLAT", flat), ("DPIS", struct.pack("<3f", 72, 72, 72))), "resolution"),
        ("text-out-of-order", picture(("FLAT", flat), ("TEXT", b"\1b\1x\1a\1x")), "not in order"),
        ("text-twice", picture(("FLAT", flat), ("TEXT", b"\1a\1x\1a\1y")), "not in order"),
        ("text-before-exif", picture(("FLAT", flat), ("TEXT", b"\1a\1x"), ("EXIF", b"x")), "EXIF"),
        ("drawing-of-another-size", picture(("FLAT", webp(8, 9))), wrong),
        ("drawing-larger", picture(("FLAT", webp(16383, 16383))), wrong),
        ("drawing-bomb", picture(("FLAT", webp(16383, 16383)), size=(16383, 16383)), "takes at least"),
        ("drawing-behind", picture(("FLAT", flat + b"\0\0")), wrong),
        ("drawing-cut", picture(("FLAT", flat[:-2])), wrong),
        ("drawing-lossy", picture(("FLAT", riff(b"VP8 ", bytes(20)))), wrong),
        ("drawing-extended", picture(("FLAT", riff(b"VP8X", bytes(10)))), wrong),
        ("drawing-png", picture(("FLAT", b"\x89PNG\r\n\x1a\n" + bytes(40))), wrong),
    ):  # fmt: skip
        yield Attack(f"picture-{name}", "picture", data, sentence, *error)


def models() -> Iterator[Attack]:
    """Model files whose configuration is not one; `run.py` puts it into a sound file's header."""
    deep = "[" * 100_000 + "]" * 100_000
    for name, change, sentence in (
        ("no-object", "[1, 2]", "not a picture model"),
        ("not-json", "{", "not JSON"),
        ("deep", deep, "not JSON"),
        ("nested", '{"format": 1, "name": ' + "[" * 99 + "]" * 99 + "}", "levels deep"),
        ("repeated-key", '{"format": 1, "name": "a", "name": "b"}', "repeats a key"),
        ("not-a-number", '{"format": 1, "trade": NaN}', "the number NaN"),
        ("infinite", '{"format": 1, "trade": -Infinity}', "the number -Infinity"),
        ("no-format", {"format": None}, "not a picture model"),
        ("format-2000", {"format": 2000}, "not a picture model"),
        ("extra-key", {"extra": 1}, "has the key 'extra'"),
        ("no-name", {"name": None}, "lacks the key 'name'"),
        ("name-a-number", {"name": 5}, "expected a text"),
        ("name-of-300", {"name": "x" * 300}, "of length 300"),
        ("no-policy", {"policy": None}, "lacks the key 'policy'"),
        ("policy-a-list", {"policy": [1]}, "expected an object"),
        ("policy-short", {"policy": {"exponent": 1}}, "lacks the key"),
        ("qualities-short", {"qualities": [1, 2, 3]}, "of length 3"),
        ("qualities-far", {"qualities": [1, 2, 3, 4, 2**40]}, "1099511627776"),
        ("qualities-of-halves", {"qualities": [1, 2, 3, 4, 0.5]}, "expected an integer"),
        ("hidden-of-a-million", {"hidden": 10**6}, "1000000"),
        ("hidden-true", {"hidden": True}, "expected an integer"),
        ("hidden-negative", {"hidden": -1}, "-1"),
        ("hidden-other-than-its-tensors", {"hidden": 1000}, "tensors of its own configuration"),
        ("channels-of-10000", {"channels": 10_000}, "10000"),
        (
            "channels-other-than-its-tensors",
            {"channels": 1000, "depth": 60},
            "tensors of its own configuration",
        ),
        ("depth-of-1e300", {"depth": 1e300}, "expected an integer"),
    ):
        text = change if isinstance(change, str) else json.dumps(change)
        error = UNSUPPORTED if "not a picture model" in sentence else CORRUPT
        yield Attack(f"model-{name}", "model", text.encode(), sentence, error)


def attacks() -> list[Attack]:
    return [*containers(), *multisets(), *networks(), *lanes(), *pictures(), *models()]


def main(folder: Path) -> None:
    files = folder / "files"
    files.mkdir(exist_ok=True)
    for old in files.glob("*"):
        old.unlink()
    expected = {}
    for attack in attacks():
        if len(attack.data) <= LARGEST:
            (files / attack.name).write_bytes(attack.data)
        rest = {key: value for key, value in asdict(attack).items() if key not in ("name", "data")}
        expected[attack.name] = rest | {"bytes": len(attack.data)}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
