"""`barycode info`: where the bits of a file went."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from barycode.container import Container

MEANINGS = {
    "HEAD": "size, mode, quality step, model",
    "TILE": "codes of up to 1024x1024 pixels",
    "ALPH": "alpha, lossless",
    "EXIF": "EXIF, as it came",
    "ICCP": "colour profile, as it came",
}


def main(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .bary file.")],
) -> None:
    """Explain a .bary file, section by section, in bits.

    For example:

    - `barycode info photo.bary`
    """
    from barycode.container import unpack

    size = file.stat().st_size
    container = unpack(file.read_bytes())
    console = Console()
    for line in _facts(container, size):
        console.print(line, highlight=False)
    console.print(_table(container, size))


def _facts(container: "Container", size: int) -> Iterator[str]:
    yield f"kind {container.kind}, version {container.version}, {size:,} bytes = {8 * size:,} bits"
    if container.kind == "imag":
        from barycode.images.codec import read_header

        header = read_header(container)
        pixels = header.width * header.height
        yield f"picture {header.width}x{header.height} {header.mode}, {8 * size / pixels:.4f} bits per pixel"
        yield f"quality step {header.index}, model {header.fingerprint.hex()}"


def _table(container: "Container", size: int) -> Table:
    table = Table()
    for heading in ("section", "bits", "share", "what it holds"):
        table.add_column(heading, justify="right" if heading in ("bits", "share") else "left")
    for section in container.sections:
        _add(table, section.tag, len(section.payload), size, MEANINGS.get(section.tag, ""))
    framing = size - sum(len(section.payload) for section in container.sections)
    _add(table, "", framing, size, "magic, tags, lengths, checksums")
    return table


def _add(table: Table, tag: str, count: int, size: int, meaning: str) -> None:
    table.add_row(tag, f"{8 * count:,}", f"{100 * count / size:.1f} %", meaning)
