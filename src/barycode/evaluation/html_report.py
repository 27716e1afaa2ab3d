"""A comparison as one HTML page that needs no network: curves, BD-rates, and pictures to look at."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from barycode.container import write_atomic
from barycode.evaluation import metrics, ssimulacra2
from barycode.evaluation.bd_rate import BDRate
from barycode.evaluation.equal_bytes import Shot, at_bytes, at_setting
from barycode.evaluation.rate_distortion import Codec, Picture, Row, by_picture
from barycode.evaluation.report import Comparison
from barycode.evaluation.summary import QUALITIES, means
from barycode.html_page import filled, head, picture_url, script_data

ORIGINAL = "Original"
LARGEST_SIDE = 800  # of a picture in the page; of a larger one its middle is shown
AXES = {"PSNR": ("PSNR (dB)", " dB"), "MS-SSIM": ("MS-SSIM (dB)", " dB"), "SSIMULACRA2": ("SSIMULACRA2", "")}
DIGITS = 4

Shots = Mapping[str, Shot]  # by the name of the codec


def take_shots(comparison: Comparison, image: Image.Image) -> dict[str, Shot]:
    """One file of every codec: the first under test at its middle setting, all others with the same bytes."""
    first, *others = [*comparison.tested, *comparison.anchors]
    shot = at_setting(first, image, sorted(first.settings)[len(first.settings) // 2])
    return {first.name: shot} | {codec.name: at_bytes(codec, image, shot.size) for codec in others}


def write_html(
    comparison: Comparison,
    pictures: Sequence[Picture],
    target: Path,
    advance: Callable[[], object] = lambda: None,
) -> Path:
    """Write the page; `pictures` are those to look at, `advance` is called after each of them."""
    shots = {}
    for picture in pictures:
        shots[picture.name] = _shots_of(picture, take_shots(comparison, picture.image), comparison.measures)
        advance()
    page = render(comparison, shots)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, page.encode(), force=True)
    return target


def render(comparison: Comparison, shots: Mapping[str, Mapping[str, Any]]) -> str:
    """The page as text; `shots`: by picture, what _shots_of returns."""
    folder = files("barycode.evaluation") / "page"
    parts = {
        "head": head(comparison.title),
        "style": (folder / "page.css").read_text(encoding="utf-8"),
        "script": (folder / "page.js").read_text(encoding="utf-8"),
        "data": script_data(_data(comparison, shots)),
    }
    return filled((folder / "page.html").read_text(encoding="utf-8"), parts)


def _data(comparison: Comparison, shots: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    measures = comparison.measures
    codecs = [*comparison.tested, *comparison.anchors]
    averages = means(comparison.rows)
    return {
        "title": comparison.title,
        "summary": f"{len(codecs)} codecs. Every byte of every file counts; "
        "pixels are decoded from the files alone.",
        "measures": [{"key": key, "axis": AXES[key][0], "unit": AXES[key][1]} for key in measures],
        "tested": [codec.name for codec in comparison.tested],
        "codecs": [{"name": codec.name, "description": codec.description} for codec in codecs],
        "bd": {
            codec.name: {
                measure: {anchor: _bd(result) for anchor, result in results.items()}
                for measure, results in comparison.figures(codec).items()
            }
            for codec in comparison.tested
        },
        "means": {
            codec.name: [_point(mean, measures) for mean in averages if mean.codec == codec.name]
            for codec in codecs
        },
        "pictures": [
            {"name": name, "points": _points(rows, codecs, measures), **shots.get(name, {})}
            for name, rows in by_picture(comparison.rows).items()
        ],
    }


def _bd(result: BDRate) -> dict[str, Any]:
    return {
        "mean": _finite(result.mean),
        "pictures": result.pictures,
        "too_little_overlap": len(result.too_little_overlap),
        "per_picture": {name: round(value, 2) for name, value in result.per_picture.items()},
    }


def _points(rows: Iterable[Row], codecs: Sequence[Codec], measures: Sequence[str]) -> dict[str, Any]:
    rows = list(rows)
    return {
        codec.name: [_point(row, measures) for row in rows if row.codec == codec.name] for codec in codecs
    }


def _point(row: Any, measures: Sequence[str]) -> list[float | None]:
    """Setting, bits per pixel and the measures of a Row or a Mean."""
    return [row.setting, round(row.bpp, DIGITS), *(_finite(getattr(row, QUALITIES[key])) for key in measures)]


def _shots_of(picture: Picture, shots: Shots, measures: Sequence[str]) -> dict[str, Any]:
    """The pictures of one page entry as data URLs, with sizes and measures of the whole pictures."""
    box = _middle(picture.image.size)
    entries: dict[str, dict[str, Any]] = {
        ORIGINAL: {"source": picture_url(picture.image.crop(box)), "size": None, "setting": None}
    }
    for name, shot in shots.items():
        values = [_finite(_measure(key, picture.image, shot.image)) for key in measures]
        source = picture_url(shot.image.crop(box))
        entries[name] = {"source": source, "size": shot.size, "setting": shot.setting, "values": values}
    shown = (box[2] - box[0], box[3] - box[1])
    return {
        "size": picture.image.size,
        "shown": shown,
        "cropped": shown != picture.image.size,
        "shots": entries,
    }


def _measure(key: str, original: Image.Image, decoded: Image.Image) -> float | None:
    """A measure on the scale of its curve; None where the picture is too small for it."""
    side = min(original.size)
    if key == "MS-SSIM":
        small = side < metrics.MS_SSIM_SMALLEST_SIDE
        return None if small else metrics.ms_ssim_db(metrics.ms_ssim(original, decoded))
    if key == "SSIMULACRA2":
        return None if side < ssimulacra2.SMALLEST_SIDE else metrics.ssimulacra2(original, decoded)
    return metrics.psnr(original, decoded)


def _middle(size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = (min(side, LARGEST_SIDE) for side in size)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, DIGITS)
