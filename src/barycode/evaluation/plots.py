"""Rate-distortion curves and per-picture BD-rates, drawn for people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from barycode.evaluation.bd_rate import BDRate
from barycode.evaluation.rate_distortion import Row
from barycode.evaluation.summary import QUALITIES, means

AXIS = {
    "PSNR": "PSNR (dB)",
    "MS-SSIM": "MS-SSIM, -10 log10(1 - x) (dB)",
    "SSIMULACRA2": "SSIMULACRA2 (100: identical)",
}
LARGEST_BPP = 1.6
LARGEST_LEGEND = 8  # curves, beyond which it would hide them
UPRIGHT = 4  # names that stand side by side
MARKERS = "x+1"  # of published curves


@dataclass(frozen=True)
class PublishedCurve:
    """Means that others report of a codec nobody ran here: drawn dashed, never among measured figures.

    points: measure of AXIS -> (bits per pixel, quality). source: where they stand, for the report.
    """

    name: str
    source: str
    points: Mapping[str, Sequence[tuple[float, float]]]


def plot_curves(
    rows: Sequence[Row], measure: str, title: str, path: Path, published: Sequence[PublishedCurve] = ()
) -> None:
    """Draw the mean curve of every codec in one of the measures of AXIS, a point a setting."""
    figure = _figure(8, 5.5)
    axes = figure.add_subplot()
    curves = _mean_points(rows, measure)
    colors = _colors(curves)
    for codec, points in curves.items():
        color, width = colors[codec], 2.4 if _is_ours(codec) else 1.3
        axes.plot(
            *zip(*points, strict=True), marker="o", markersize=3.5, color=color, linewidth=width, label=codec
        )
    for curve, marker in zip(published, cycle(MARKERS), strict=False):
        known = [point for point in curve.points.get(measure, ()) if point[0] <= LARGEST_BPP]
        if known:
            label = f"{curve.name} (published)"
            axes.plot(
                *zip(*known, strict=True), "--", color="0.45", marker=marker, linewidth=1.1, label=label
            )
    axes.set(xlabel="bits per pixel (whole files)", ylabel=AXIS[measure], title=f"{title}: {measure}")
    axes.grid(alpha=0.3)
    if len(axes.lines) > LARGEST_LEGEND:
        figure.set_size_inches(11, 5.5)
        figure.legend(loc="outside right upper", fontsize=9)
    elif axes.lines:
        axes.legend()
    _save(figure, path)


def _is_ours(codec: str) -> bool:
    return "Barycode" in codec


def _colors(codecs: Iterable[str]) -> dict[str, Any]:
    """Warm ones for ours, cold ones for the others, in their order."""
    ours: list[str] = []
    others: list[str] = []
    for codec in codecs:
        (ours if _is_ours(codec) else others).append(codec)
    warm = [colormaps["autumn"](0.8 * place / len(ours)) for place in range(len(ours))]
    cold = [colormaps["viridis"](0.9 * place / len(others)) for place in range(len(others))]
    return dict(zip([*ours, *others], [*warm, *cold], strict=True))


def _mean_points(rows: Sequence[Row], measure: str) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = {}
    for mean in means(rows):
        quality = getattr(mean, QUALITIES[measure])
        if quality is not None and mean.bpp <= LARGEST_BPP:
            points.setdefault(mean.codec, []).append((mean.bpp, quality))
    return points


def plot_bd_rates(figures: Mapping[str, Mapping[str, BDRate]], title: str, path: Path) -> None:
    """Draw every picture's BD-rate as a dot and the mean as a bar; a column an anchor, a panel a measure."""
    figure = _figure(4.5 * len(figures), 4.5)
    panels = figure.subplots(1, len(figures), sharey=True, squeeze=False)[0]
    for axes, (measure, anchors) in zip(panels, figures.items(), strict=True):
        for column, result in enumerate(anchors.values()):
            values = list(result.per_picture.values())
            axes.plot([column] * len(values), values, "o", alpha=0.35, color="tab:blue")
            axes.plot([column - 0.3, column + 0.3], [result.mean] * 2, color="black", linewidth=2)
        axes.axhline(0, color="grey", linewidth=0.8)
        slanted = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(anchors)), list(anchors), **(slanted if len(anchors) > UPRIGHT else {}))
        axes.set_title(f"{measure}: BD-rate against ... (%)")
        axes.grid(axis="y", alpha=0.3)
    figure.suptitle(f"{title}: a dot a picture, bar = mean")
    _save(figure, path)


def _figure(width: float, height: float) -> Any:
    # A canvas of our own instead of pyplot: no global state, no display.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in the file, equal data give equal bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
