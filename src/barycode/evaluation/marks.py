"""Parts of a written document that a script fills: tables between two marks."""

from pathlib import Path

from barycode.errors import InvalidInputError

END = "<!-- end of table -->"


def begin(source: str = "") -> str:
    """The mark before a table; `source` says which script fills it where that is not plain."""
    return f"<!-- table: {source} -->" if source else "<!-- table -->"


def fill(document: Path, table: str, source: str = "") -> None:
    """Replace what stands between the marks; InvalidInputError where there are none."""
    before, opened, rest = document.read_text().partition(begin(source))
    _, closed, after = rest.partition(END)
    if not opened or not closed:
        raise InvalidInputError(
            f"{document.name} has no region between {begin(source)!r} and {END!r} to fill."
        )
    document.write_text(f"{before}{opened}\n{table}\n{closed}{after}")
