"""Mutations that keep a file's outer form: checksums, lengths and headers are right, what is inside is not.

Plain damage is found by the first checksum, and what lies behind it would never be reached.
"""

import json
import random
import zlib
from collections.abc import Callable

from barycode.container.fields import encode_varint
from barycode.container.framing import CHECKSUM_BYTES, HEADER_BYTES, TAG_BYTES, checksum

Mutation = Callable[[bytes, random.Random], bytes]
NUMBERS = (0, 1, 2, 7, 8, 15, 16, 31, 63, 64, 127, 128, 255)
LARGE = (2**15, 2**16, 2**17, 2**20, 2**24, 2**28, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1)
TAGS = (
    b"HEAD",
    b"TILE",
    b"ALPH",
    b"EXIF",
    b"ICCP",
    b"PART",
    b"BOOK",
    b"VECT",
    b"MSET",
    b"SHAP",
    b"TABL",
    b"NEWS",
)


def damage(data: bytes, rng: random.Random) -> bytes:
    """One to four edits: bits, bytes, varints, cuts, copies and insertions."""
    for _ in range(1 + rng.randrange(4)):
        data = _edit(data, rng)
    return data


def _edit(data: bytes, rng: random.Random) -> bytes:
    place, end = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    one = data[place : place + 1] or b"\0"
    return rng.choice(
        (
            data[:place] + bytes([one[0] ^ 1 << rng.randrange(8)]) + data[place + 1 :],
            data[:place] + bytes([rng.choice(NUMBERS)]) + data[place + 1 :],
            data[:place] + rng.randbytes(1 + rng.randrange(8)) + data[place:],
            data[:place] + encode_varint(rng.choice(LARGE)) + data[place + 1 :],
            data[:place],
            data[:place] + data[place + 1 + rng.randrange(4) :],
            data[: max(place, end)] + data[min(place, end) :],
            data + bytes(rng.choice((1, 4, 64, 1024))),
            data + b"\xff" * rng.choice((1, 4)),
        )
    )


def container(data: bytes, rng: random.Random) -> bytes:
    """Sections damaged, moved, doubled, dropped or renamed, with right lengths and checksums."""
    if rng.randrange(16) == 0:
        return damage(data, rng)
    header, sections = _sections(data)
    for _ in range(1 + rng.randrange(2)):
        _disturb(sections, rng)
    if rng.randrange(32) == 0:
        header = header[:-1] + bytes([rng.choice(b"iwvx")])
    return _joined(header, sections)


def _disturb(sections: list[tuple[bytes, bytes]], rng: random.Random) -> None:
    place = rng.randrange(len(sections)) if sections else 0
    action = rng.randrange(20) if sections else 2
    if action == 0:
        del sections[place]
    elif action == 1:
        sections.insert(rng.randrange(len(sections) + 1), sections[place])
    elif action == 2:
        sections.insert(place, (rng.choice(TAGS), rng.randbytes(rng.randrange(64))))
    elif action == 3:
        sections.insert(rng.randrange(len(sections)), sections.pop(place))
    else:
        tag, payload = sections[place]
        sections[place] = tag, _payload(payload, rng)


def _payload(payload: bytes, rng: random.Random) -> bytes:
    """Damaged; or, where it is a deflate stream, damaged inside."""
    if rng.randrange(2):
        try:
            return zlib.compress(damage(zlib.decompress(payload), rng))
        except zlib.error:
            pass
    return damage(payload, rng)


def _sections(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Of a sound file; what cannot be read of any other is left out."""
    sections, place = [], HEADER_BYTES
    while len(data) > place + TAG_BYTES + 1:
        start, length, shift = place + TAG_BYTES, 0, 0
        while start < len(data):
            length |= (data[start] & 127) << shift
            start, shift = start + 1, shift + 7
            if not data[start - 1] & 128:
                break
        sections.append((data[place : place + TAG_BYTES], data[start : start + length]))
        place = start + length + CHECKSUM_BYTES
    return data[:HEADER_BYTES], sections


def _joined(header: bytes, sections: list[tuple[bytes, bytes]]) -> bytes:
    parts = [header]
    for number, (tag, payload) in enumerate(sections):
        frame = tag + encode_varint(len(payload))
        parts += [frame, payload, checksum(header, number, frame, payload)]
    return b"".join([*parts, b"\0"])


def safetensors(data: bytes, rng: random.Random) -> bytes:
    """The JSON of the header changed, with the right length before it; or the tensors' bytes damaged."""
    if rng.randrange(16) == 0 or len(data) < 8:
        return damage(data, rng)
    length = int.from_bytes(data[:8], "little")
    text, body = data[8 : 8 + length], data[8 + length :]
    action = rng.randrange(4)
    if action == 0:
        body = damage(body, rng)
    elif action == 1:
        text = damage(text, rng)
    else:
        try:
            text = json.dumps(_json(json.loads(text), rng)).encode()
        except (ValueError, RecursionError):
            text = damage(text, rng)
    return len(text).to_bytes(8, "little") + text + body


def _json(value: object, rng: random.Random, depth: int = 0) -> object:
    """One value somewhere replaced; JSON inside of texts is changed as JSON."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.dumps(_json(json.loads(value), rng, depth + 1))
        except (ValueError, RecursionError):
            return value + rng.choice(("", "}", "\0", "\ud800"))
    if isinstance(value, dict) and value and rng.randrange(8):
        key = rng.choice(list(value))
        changed = dict(value)
        if rng.randrange(8) == 0:
            changed[rng.choice(("extra", "", "__metadata__", key + "x"))] = changed.pop(key)
        else:
            changed[key] = _json(value[key], rng, depth + 1)
        return changed
    if isinstance(value, list) and value and rng.randrange(8):
        place = rng.randrange(len(value))
        return [*value[:place], _json(value[place], rng, depth + 1), *value[place + 1 :]]
    nested: object = 0
    for _ in range(rng.choice((1, 3, 2000))):
        nested = [nested]
    chosen = (
        *NUMBERS,
        *LARGE,
        -1,
        0.5,
        1e308,
        float("nan"),
        float("inf"),
        True,
        None,
        "",
        "F32",
        "x" * 300,
        {},
        [],
    )
    return nested if rng.randrange(16) == 0 else rng.choice(chosen)
