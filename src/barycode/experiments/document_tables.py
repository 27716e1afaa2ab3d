"""Parts of a written document that a script fills: tables between two comments."""

from pathlib import Path

from barycode.errors import InvalidInputError

TABLE_END = "<!-- end of table -->"


def table_start(source: str = "") -> str:
    """The comment before a table; `source` says which script fills it where that is not plain."""
    return f"<!-- table: {source} -->" if source else "<!-- table -->"


def fill_table(document: Path, table: str, source: str = "") -> None:
    """Replace what stands between the comments; InvalidInputError where there are none."""
    before, opened, rest = document.read_text().partition(table_start(source))
    _, closed, after = rest.partition(TABLE_END)
    if not opened or not closed:
        raise InvalidInputError(
            f"{document.name} has no region between {table_start(source)!r} and {TABLE_END!r} to fill."
        )
    document.write_text(f"{before}{opened}\n{table}\n{closed}{after}")
