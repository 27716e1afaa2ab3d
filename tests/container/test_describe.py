import io

import pytest

from barycode.container import ContainerReader, Section, describe, pack, unpack
from barycode.container.describe import FRAMING

SECTIONS = [
    Section("TILE", bytes(300)),
    Section("HEAD", bytes(5)),
    Section("TILE", bytes(100)),
    Section("NONE", b""),
]


def test_the_rows_add_up_to_the_file() -> None:
    data = pack("imag", SECTIONS)
    rows = describe(unpack(data).sections, {"TILE": "codes"})
    assert [(row.tag, row.meaning, row.sections, row.size) for row in rows[:-1]] == [
        ("TILE", "codes", 2, 400),
        ("HEAD", "", 1, 5),
        ("NONE", "", 1, 0),
    ]
    assert rows[-1].tag == FRAMING
    assert sum(row.size for row in rows) == len(data)
    assert sum(row.bits for row in rows) == 8 * len(data)
    assert sum(row.fraction for row in rows) == pytest.approx(1)


def test_a_reader_is_described_as_it_streams() -> None:
    data = pack("imag", SECTIONS)
    assert describe(ContainerReader(io.BytesIO(data))) == describe(unpack(data).sections)


def test_an_empty_file_is_all_framing() -> None:
    (row,) = describe([])
    assert (row.size, row.fraction) == (len(pack("wght", [])), 1.0)
