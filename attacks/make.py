"""Files that must be refused, written from docs/format.md: `python attacks/make.py` writes them to files/.

Nothing of Barycode's writers is used. Every attack has the error that it must meet: its type, and a part of
its sentence. Large ones are not kept in the repository; the test makes them when it runs.
"""

import json
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
LARGEST = 4096  # bytes of a file that is kept
CORRUPT, UNSUPPORTED = "CorruptFileError", "UnsupportedFileError"


@dataclass(frozen=True)
class Attack:
    """`reader` names the call that must refuse `data` (see run.py), with this error and sentence."""

    name: str
    reader: str
    data: bytes
    sentence: str
    error: str = CORRUPT


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


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
    return file("v", ("VOTE", head + known + stream))


def votes() -> Iterator[Attack]:
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
        yield Attack(f"votes-{name}", "votes", data, sentence)


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


def networks() -> Iterator[Attack]:
    """Directories that claim what cannot be, and files that do not hold what they claim."""
    one = directory([(2, 2)])
    empty = varint(1) + b"\0" + varint(0)  # a part of a tensor without entries
    sound = ("HEAD", directory([(0,)])), ("PART", empty)
    book = b"\0" + varint(1) + struct.pack("<2f", 0, 1)

    def network(head: bytes, *parts: bytes) -> bytes:
        return file("w", ("HEAD", head), *(("PART", part) for part in parts))

    for name, data, sentence, *error in (
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
        ("codebook-behind-the-tensors", file("w", *sound, ("BOOK", book)), "codebook is not used"),
        ("codebook-that-nothing-uses", file("w", sound[0], ("BOOK", book), sound[1]), "codebook is not used"),
    ):
        yield Attack(f"network-{name}", "network", data, sentence, *error)


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
    return [*containers(), *votes(), *networks(), *models()]


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
