"""`barycode info`: where the bits of a file went."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from barycode.cli import networks, streams
from barycode.cli.jobs import STANDARD
from barycode.cli.sizes import read_size
from barycode.cli.text import printable
from barycode.errors import BarycodeError, InvalidInputError, MissingDataError

if TYPE_CHECKING:
    from barycode.container import ContainerReader
    from barycode.images.metadata import Metadata

ORIENTATION, GPS = 0x0112, 0x8825
PICTURE = "imag"
NUMBERS = frozenset({"count", "bits", "share", "per weight"})
MEANINGS = {
    "HEAD": "what is in the file: sizes, names, forms",
    "TILE": "codes of up to 1024x1024 pixels",
    "BOOK": "a codebook: sorted centers",
    "PART": "codes of some tensors",
    "ALPH": "alpha, lossless",
    "EXIF": "EXIF: camera, place, orientation",
    "ICCP": "colour profile",
    "XMPD": "XMP",
    "DPIS": "resolution",
    "TEXT": "texts with their keywords",
    "SHAP": "shape of the indices",
    "TABL": "frequency tables of the codes",
    "CODE": "codes of vectors",
    "MSET": "sparse convex codes of vectors",
}


def main(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .bary file, or - for standard input.")],
    limit: Annotated[str | None, typer.Option(help="Refuse what decodes to more bytes, such as 2GB.")] = None,
    page: Annotated[
        Path | None,
        typer.Option("--html", help="Write it as one HTML page instead, that needs nothing else."),
    ] = None,
    original: Annotated[
        Path | None,
        typer.Option(
            help="With --html, networks: the checkpoint that was compressed, for every tensor's error."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace a page that exists.")] = False,
) -> None:
    """Explain a .bary file in bits: section by section and, for a network, tensor by tensor.

    For example:

    - `barycode info photo.bary`

    - `barycode info model.bary`

    - `barycode info model.bary --html model.html --original model.safetensors`
    """
    if original is not None and page is None:
        raise InvalidInputError("--original tells a page the errors of tensors: add --html PAGE.")
    if page is not None and page.exists() and not force:
        raise InvalidInputError(f"{page} exists already: pass --force to replace it.")
    if file.is_dir():
        raise InvalidInputError(f"{file} is a folder: name a .bary file in it.")
    if file != STANDARD and not file.exists():
        raise MissingDataError(f"{file} does not exist.")
    with streams.seekable(file) as content:
        most = read_size(limit) if limit else None
        try:
            if page is not None:
                name = "standard input" if file == STANDARD else file.name
                return _write_page(page, name, content, most, original)
            explained = list(_explain(content, most))
        except BarycodeError as error:
            raise type(error)(f"{'standard input' if file == STANDARD else file}: {error}") from error
    console = Console()
    for part in explained:
        console.print(part, highlight=False, markup=False)
    return None


def _explain(file: Path, limit: int | None) -> Iterator[str | Table]:
    from barycode.container import ContainerReader, describe

    with file.open("rb") as stream:
        reader = ContainerReader(stream)
        shares = describe(reader, MEANINGS)
    yield from map(printable, _facts(file, reader))
    rows = [(s.tag, f"{s.sections or ''}", f"{s.bits:,}", f"{s.fraction:.1%}", s.meaning) for s in shares]
    yield _table(("section", "count", "bits", "share", "what it holds"), rows)
    if reader.kind == networks.KIND:
        yield _table(networks.HEADINGS, networks.rows(file, limit))


def _write_page(page: Path, name: str, file: Path, limit: int | None, original: Path | None) -> None:
    from barycode.cli import info_page
    from barycode.container import ContainerReader, describe, write_atomic

    with file.open("rb") as stream:
        reader = ContainerReader(stream)
        sections = [info_page.sections_table(describe(reader, MEANINGS))]
    if original is not None and reader.kind != networks.KIND:
        raise InvalidInputError("--original is the checkpoint of a network, and this file holds none.")
    if reader.kind == networks.KIND:
        sections.append(info_page.tensors_section(file, limit, original))
    if reader.kind == PICTURE:
        sections.insert(0, info_page.picture_section(file, limit))
    text = info_page.page(name, _facts(file, reader), sections)
    write_atomic(page, text.encode(errors="backslashreplace"), force=True)
    typer.echo(f"page: {printable(page)}")


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """What does not fit goes on in the next line: a name is worth it."""
    table = Table()
    for heading in headings:
        table.add_column(heading, justify="right" if heading in NUMBERS else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _facts(file: Path, reader: "ContainerReader") -> Iterator[str]:
    size = file.stat().st_size
    yield f"kind {reader.kind}, version {reader.version}, {size:,} bytes = {8 * size:,} bits"
    if reader.kind == networks.KIND:
        yield networks.fact(file, size)
    if reader.kind == PICTURE:
        from barycode.container import unpack
        from barycode.images.codec import read_header
        from barycode.images.metadata import Metadata

        container = unpack(file.read_bytes())
        header = read_header(container)
        pixels = header.width * header.height
        yield f"picture {header.width}x{header.height} {header.mode}, {8 * size / pixels:.4f} bits per pixel"
        yield f"quality step {header.index}, model {header.fingerprint.hex()}"
        yield f"carries {', '.join(_carried(Metadata.from_container(container))) or 'pixels only'}"


def _carried(metadata: "Metadata") -> Iterator[str]:
    """What describes the picture, with what one may want to know before passing it on."""
    from PIL import Image

    exif = Image.Exif()
    exif.load(metadata.exif)
    if metadata.exif:
        known = [f"orientation {exif[ORIENTATION]}"] if ORIENTATION in exif else []
        known += ["a place (GPS)"] if exif.get_ifd(GPS) else []
        yield f"EXIF of {len(exif)} tags" + (f" with {' and '.join(known)}" if known else "")
    yield from ["colour profile"] if metadata.icc_profile else []
    yield from ["XMP"] if metadata.xmp else []
    yield from [f"resolution {metadata.dpi[0]:g} x {metadata.dpi[1]:g} dpi"] if metadata.dpi else []
    yield from [f"text ({', '.join(metadata.text)})"] if metadata.text else []
