"""`barycode info`: where the bits of a file went."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from barycode.cli import networks
from barycode.cli.text import printable

if TYPE_CHECKING:
    from barycode.container import ContainerReader

NUMBERS = frozenset({"count", "bits", "share", "per weight"})
MEANINGS = {
    "HEAD": "what is in the file: sizes, names, forms",
    "TILE": "codes of up to 1024x1024 pixels",
    "BOOK": "a codebook: sorted centers",
    "PART": "codes of some tensors",
    "ALPH": "alpha, lossless",
    "EXIF": "EXIF, as it came",
    "ICCP": "colour profile, as it came",
}


def main(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .bary file.")],
) -> None:
    """Explain a .bary file in bits: section by section and, for a network, tensor by tensor.

    For example:

    - `barycode info photo.bary`

    - `barycode info model.bary`
    """
    from barycode.container import ContainerReader, describe

    console, size = Console(), file.stat().st_size
    with file.open("rb") as stream:
        reader = ContainerReader(stream)
        shares = describe(reader, MEANINGS)
    for line in _facts(file, reader, size):
        console.print(printable(line), highlight=False, markup=False)
    rows = [(s.tag, f"{s.sections or ''}", f"{s.bits:,}", f"{s.fraction:.1%}", s.meaning) for s in shares]
    console.print(_table(("section", "count", "bits", "share", "what it holds"), rows))
    if reader.kind == networks.KIND:
        console.print(_table(networks.HEADINGS, networks.rows(file)))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, justify="right" if heading in NUMBERS else "left")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _facts(file: Path, reader: "ContainerReader", size: int) -> Iterator[str]:
    yield f"kind {reader.kind}, version {reader.version}, {size:,} bytes = {8 * size:,} bits"
    if reader.kind == networks.KIND:
        yield networks.fact(file, size)
    if reader.kind == "imag":
        from barycode.container import unpack
        from barycode.images.codec import read_header

        header = read_header(unpack(file.read_bytes()))
        pixels = header.width * header.height
        yield f"picture {header.width}x{header.height} {header.mode}, {8 * size / pixels:.4f} bits per pixel"
        yield f"quality step {header.index}, model {header.fingerprint.hex()}"
