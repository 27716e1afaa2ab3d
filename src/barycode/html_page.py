"""Pages that need nothing but themselves: templates filled with texts, styles, scripts and data."""

import base64
import html
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


ALLOWED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
HEAD = f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{ALLOWED}">
<link rel="icon" href="data:,">
<title>{{{{title}}}}</title>"""


def head(title: str) -> str:
    """The beginning of a page, up to its style."""
    return filled(HEAD, {"title": html.escape(title)})


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with the part of that name in place of each {{name}}; parts are HTML already."""
    before, *places = template.split("{{")
    pieces = [parts[name] + rest for name, rest in (place.split("}}", 1) for place in places)]
    return before + "".join(pieces)


def script_data(value: Any) -> str:
    """JSON for the inside of a script: no text in it can end that."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def picture_url(image: "Image.Image") -> str:
    """The picture itself as a URL, in lossless WebP: what the page shows are these pixels."""
    stream = io.BytesIO()
    image.save(stream, "WEBP", lossless=True, method=2)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
