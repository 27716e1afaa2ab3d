"""Names and messages as text for a terminal: nothing in them can move the cursor or colour the screen."""

import os
import unicodedata
from collections import Counter

# Control, format (right-to-left marks among them), surrogate, line and paragraph separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: object) -> str:
    """The text with every character that is not one to look at written as its escape."""
    return "".join(_escaped(c) if unicodedata.category(c) in _UNPRINTABLE else c for c in str(text))


def shown_suffixes(counts: Counter[str]) -> str:
    """How many files of which suffix: the five most frequent ones."""
    return ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in counts.most_common(5))


def one_line(error: BaseException) -> str:
    """An error's message as one printable line; its type's name where it has none, or is no error of ours."""
    from barycode.errors import BarycodeError

    if isinstance(error, OSError) and error.strerror and error.filename:
        return printable(f"{os.fspath(error.filename)}: {error.strerror}")
    message = printable(" ".join(str(error).split()))
    if isinstance(error, BarycodeError | OSError) and message:
        return message
    name = type(error).__name__
    return f"{name}: {message}" if message else name


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
