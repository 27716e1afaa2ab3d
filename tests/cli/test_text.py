"""Names are data: whatever is in them, a terminal shows it and does nothing else."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barycode.cli.text import one_line, printable
from barycode.errors import InvalidInputError


@given(st.text(st.characters()))
def test_nothing_unprintable_is_left(text):
    shown = printable(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode()


@pytest.mark.parametrize("text", ["blocks[attn].weight", "a[/b]c", "Zürich 写真.png", "[red]x[/red]"])
def test_what_can_be_looked_at_stays(text):
    assert printable(text) == text


def test_escapes_are_shown():
    assert printable("a\x1b[31mb\x9b\u202e\udcff\n") == "a\\x1b[31mb\\x9b\\u202e\\udcff\\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InvalidInputError("two\nlines \x1b]0;x\x07"), "two lines \\x1b]0;x\\x07"),
        (KeyError("x"), "KeyError: 'x'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_an_error_is_one_line(error, line):
    assert one_line(error) == line
