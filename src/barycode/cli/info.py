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
    from barycode.container import describe, unpack

    data = file.read_bytes()
    container = unpack(data)
    console = Console()
    for line in _facts(container, len(data)):
        console.print(line, highlight=False)
    table = Table()
    for heading in ("section", "count", "bits", "share", "what it holds"):
        table.add_column(heading, justify="right" if heading in ("count", "bits", "share") else "left")
    for share in describe(container.sections, MEANINGS):
        cells = (
            share.tag,
            f"{share.sections or ''}",
            f"{share.bits:,}",
            f"{share.fraction:.1%}",
            share.meaning,
        )
        table.add_row(*cells)
    console.print(table)


def _facts(container: "Container", size: int) -> Iterator[str]:
    yield f"kind {container.kind}, version {container.version}, {size:,} bytes = {8 * size:,} bits"
    if container.kind == "imag":
        from barycode.images.codec import read_header

        header = read_header(container)
        pixels = header.width * header.height
        yield f"picture {header.width}x{header.height} {header.mode}, {8 * size / pixels:.4f} bits per pixel"
        yield f"quality step {header.index}, model {header.fingerprint.hex()}"
