"""What the site asks of Sphinx beyond its own extensions.

Docstrings are plain text whose backticks mean code and whose `name: text` lines describe parameters; shapes
are jaxtyping's; folders are linked to as such, as on a code host; help texts come from the program itself.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[1]
PROGRAM = "import sys; from barycode.cli.main import run; sys.argv[0] = 'barycode'; run()"
DESCRIBED = re.compile(r"(\w+(?:, \w+)*): (?=\S)(.*)")
FOLDER_LINK = re.compile(r"(?<=\]\()([^)#:\s]+?)/?(#[^)\s]*)?(?=\))")
SHAPED = re.compile(
    r"(?:~?jaxtyping\.)?\b(Float|Int64|Int16|UInt8|Bool)\[(?:~?torch\.)?Tensor, ['\"]([^'\"]*)['\"]\]"
)


def readable_shapes(annotation: str) -> str:
    """`Float[Tensor, "*batch d"]` as `Float[*batch, d]`; a scalar is `Float[()]`."""
    shaped = SHAPED.sub(lambda m: f"{m[1]}[{', '.join(m[2].split()) or '()'}]", annotation)
    return re.sub(r"~(?:\w+\.)+", "", shaped.replace("<factory>", "..."))


def restructured(docstring: str) -> str:
    """A docstring as reStructuredText: every paragraph of it as it was meant."""
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n\s*\n", docstring.strip("\n")))


def _paragraph(text: str) -> str:
    lines = text.split("\n")
    if all(line.startswith("    ") for line in lines):
        return "::\n\n" + "\n".join("    " + line for line in lines)
    if DESCRIBED.match(lines[0]):
        return _described(lines)
    marked = [_inline(line) for line in lines]
    return "\n".join(marked)


def _described(lines: list[str]) -> str:
    """`name: text` lines, wrapped ones with the one before them, as a list of fields."""
    fields: list[str] = []
    for line in lines:
        if found := DESCRIBED.match(line):
            fields.append(f"* **{found[1]}**: {_inline(found[2])}")
        else:
            fields.append(f"  {_inline(line.strip())}")
    return "\n".join(fields)


def _inline(line: str) -> str:
    """Text between backticks as a literal, everything else as itself."""
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(
        f"`{part}`" if part.startswith("`") else re.sub(r"([\\*|_])", r"\\\1", part) for part in parts if part
    )


def _docstring(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = [*restructured("\n".join(lines)).split("\n"), ""]


def _signature(
    _app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, *parts: str | None
) -> tuple[str | None, ...]:
    """Arguments and what is returned; None where there is no such thing."""
    return tuple(part and readable_shapes(part) for part in parts)


def _attribute_types(_app: Sphinx, _domain: str, _type: str, content: Any) -> None:
    """Annotations of attributes, which have no event of their own."""
    for field in content.findall(nodes.Text):
        if (text := readable_shapes(field.astext())) != field.astext():
            field.parent.replace(field, nodes.Text(text))


def _folder_links(app: Sphinx, docname: str, content: list[str]) -> None:
    here = (ROOT / docname).parent

    def page(found: re.Match[str]) -> str:
        if (here / found[1]).is_dir() and (here / found[1] / "README.md").exists():
            return f"{found[1]}/README.md{found[2] or ''}"
        return found[0]

    content[0] = FOLDER_LINK.sub(page, content[0])


def _reports_stand_alone(app: Sphinx, _doctree: nodes.document) -> None:
    """Generated reports are reached from the page of their experiment, not from the sidebar."""
    name = app.env.docname
    if name.startswith(("experiments/", "fuzz/", "attacks/")) and (
        name.count("/") != 2 or not name.endswith("/README")
    ):
        app.env.metadata[name]["orphan"] = True


class ProgramHelp(SphinxDirective):
    """The help text of a command: `{program-help} compress`."""

    required_arguments = 0
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        words = self.arguments[0].split() if self.arguments else []
        plain = {**os.environ, "COLUMNS": "92", "NO_COLOR": "1", "TERM": "dumb"}
        told = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words, "--help"],
            env=plain,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        text = "\n".join(line.rstrip() for line in told.strip("\n").split("\n"))
        return [nodes.literal_block(text, text, language="text")]


def _front_page(app: Sphinx, error: Exception | None) -> None:
    """The folder of the site itself leads to its first page."""
    if error is None and app.builder.name == "html":
        target = "docs/index.html"
        there = f'<meta http-equiv="refresh" content="0; url={target}"><a href="{target}">Barycode</a>'
        (Path(app.outdir) / "index.html").write_text(f"<!doctype html>{there}\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("program-help", ProgramHelp)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("object-description-transform", _attribute_types)
    app.connect("source-read", _folder_links)
    app.connect("doctree-read", _reports_stand_alone)
    app.connect("build-finished", _front_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
