"""`barycode info --html`: what a file is made of, as one page."""

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from barycode.errors import InvalidInputError
from barycode.html_page import filled, head, picture_url

if TYPE_CHECKING:
    from barycode.container import Share

SHOWN = 1600  # pixels of the longer side of a picture in the page
SECTIONS = ("section", "count", "bits", "share of the file", "what it holds")
TENSORS = ("tensor", "shape", "type", "coded as", "bits", "bits per weight", "share of the tensors")
ERRORS = ("largest error", "relative error", "SQNR, dB")


@dataclass(frozen=True)
class Cell:
    """What a cell shows; `value` where it is a number, `share` (0 to 1) where it has a bar."""

    text: str
    value: float | None = None
    share: float | None = None

    @property
    def is_number(self) -> bool:
        return self.value is not None or self.share is not None

    def html(self) -> str:
        known = "" if self.value is None else f' class="number" data-value="{_number(self.value)}"'
        if self.share is not None:
            known = f' class="number share" data-value="{self.share}"'
        bar = "" if self.share is None else f'<span class="bar" style="width:{100 * self.share:.2f}%"></span>'
        return f"<td{known}>{html.escape(self.text)}{bar}</td>"


def page(title: str, facts: Iterable[str], sections: Iterable[str]) -> str:
    """The whole page; `sections` are HTML."""
    template = (files("barycode.cli") / "info_page.html").read_text(encoding="utf-8")
    return filled(
        template,
        {
            "head": head(title),
            "title": html.escape(title),
            "facts": "\n".join(f"<p>{html.escape(fact)}</p>" for fact in facts),
            "sections": "\n".join(sections),
        },
    )


def sections_table(shares: "Iterable[Share]") -> str:
    """Where the bits of the file are."""
    rows = [
        [
            Cell(share.tag),
            Cell(f"{share.sections or ''}", share.sections),
            Cell(f"{share.bits:,}", share.bits),
            Cell(f"{share.fraction:.1%}", share=share.fraction),
            Cell(share.meaning),
        ]
        for share in shares
    ]
    return _section("Where the bits are", _table(SECTIONS, rows))


def picture_section(file: Path, limit: int | None) -> str:
    """The picture as it decodes; a large one made smaller."""
    from barycode.images import decompress

    image = decompress(file.read_bytes(), limit=limit)
    note = ""
    if max(image.size) > SHOWN:
        note = f"<p>{image.width} x {image.height} pixels, shown smaller.</p>"
        image.thumbnail((SHOWN, SHOWN))
    shown = image if image.mode in {"RGB", "RGBA"} else image.convert("RGBA")
    return _section("What it decodes to", f'{note}<img id="picture" alt="" src="{picture_url(shown)}">')


def tensors_section(file: Path, limit: int | None, original: Path | None) -> str:
    """Every tensor: how it is coded, its bits and, beside the original checkpoint, its errors."""
    from barycode.weights.file_format.reader import NetworkReader

    with file.open("rb") as stream:
        shares = list(NetworkReader(stream, limit).shares())
    whole = sum(bits for _, _, bits in shares) or 1.0
    rows = [
        [
            Cell(entry.name),
            Cell("x".join(map(str, entry.shape)) or "scalar"),
            Cell(str(entry.dtype).removeprefix("torch.")),
            Cell(words),
            Cell(f"{bits:,.0f}", bits),
            Cell(f"{bits / max(entry.size, 1):.3f}", bits / max(entry.size, 1)),
            Cell(f"{bits / whole:.1%}", share=bits / whole),
        ]
        for entry, words, bits in shares
    ]
    headings: tuple[str, ...] = TENSORS
    if original is not None:
        headings += ERRORS
        rows = [row + more for row, more in zip(rows, _errors(file, limit, original), strict=True)]
    return _section("Tensors", _table(headings, rows))


def _errors(file: Path, limit: int | None, original: Path) -> Iterator[list[Cell]]:
    from barycode.weights.allocation.report import errors
    from barycode.weights.checkpoints.files import open_source
    from barycode.weights.file_format.reader import NetworkReader

    source = open_source(original)
    forms = {entry.name: (entry.shape, entry.dtype) for entry in source.directory.entries}
    with file.open("rb") as stream:
        for entry, after in NetworkReader(stream, limit).tensors():
            if forms.get(entry.name) != (tuple(after.shape), after.dtype):
                raise InvalidInputError(
                    f"{original} has no tensor {entry.name!r} of {after.dtype} and shape "
                    f"{tuple(after.shape)}: is it the checkpoint that was compressed?"
                )
            largest, noise, signal = errors(source.load(entry.name).detach().cpu(), after)
            relative = math.sqrt(noise / signal) if signal else 0.0
            decibels = 10 * math.log10(signal / noise) if noise and signal else math.inf
            yield [
                Cell(f"{largest:.3g}", largest),
                Cell(f"{relative:.3g}", relative),
                Cell(f"{decibels:.1f}" if noise else "exact", decibels),
            ]


def _section(heading: str, inside: str) -> str:
    return f"<section><h2>{heading}</h2>{inside}</section>"


def _table(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    first = rows[0] if rows else [Cell("")] * len(headings)
    head = "".join(
        f'<th{" class=number" if cell.is_number else ""}><button type="button">{heading}</button></th>'
        for heading, cell in zip(headings, first, strict=True)
    )
    body = "".join(f"<tr>{''.join(cell.html() for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _number(value: float) -> str:
    """As JavaScript reads it."""
    return "Infinity" if math.isinf(value) else repr(float(value))
