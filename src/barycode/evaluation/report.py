"""A report that people read (Markdown, plots) and programs read (JSON), made from rows alone."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from barycode.evaluation.bd_rate import BDRate
from barycode.evaluation.plots import PublishedCurve, plot_bd_rates, plot_curves
from barycode.evaluation.rate_distortion import Codec, Row
from barycode.evaluation.summary import QUALITIES, Mean, bd_rates, means


@dataclass(frozen=True)
class Comparison:
    """Rows of the codecs under test and of anchors on one set of pictures; `published` is drawn too."""

    title: str
    rows: Sequence[Row]
    tested: Sequence[Codec]
    anchors: Sequence[Codec]
    published: Sequence[PublishedCurve] = ()

    def figures(self, tested: Codec) -> dict[str, dict[str, BDRate]]:
        """BD-rates of one of the tested codecs: measure -> anchor -> BDRate."""
        everything = bd_rates(self.rows, tested.name, [anchor.name for anchor in self.anchors])
        return {measure: everything[measure] for measure in self.measures}

    @property
    def measures(self) -> list[str]:
        """The measures that were taken of every row."""
        return [
            measure
            for measure, quality in QUALITIES.items()
            if all(getattr(row, quality) is not None for row in self.rows)
        ]

    @property
    def pictures(self) -> int:
        return len({row.picture for row in self.rows})


def write_report(comparison: Comparison, folder: Path) -> Path:
    """Write report.json, plots and report.md of one comparison into `folder`; returns the Markdown file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(as_json(comparison), indent=1) + "\n")
    for measure in comparison.measures:
        path = folder / f"{measure.lower()}.png"
        plot_curves(comparison.rows, measure, comparison.title, path, comparison.published)
    for tested in comparison.tested:
        plot_bd_rates(
            comparison.figures(tested),
            f"{comparison.title}, {tested.name}",
            folder / f"bd-rate-{slug(tested.name)}.png",
        )
    target = folder / "report.md"
    target.write_text(markdown(comparison))
    return target


def as_json(comparison: Comparison) -> dict:
    """Settings, means and BD-rates (nan, where nothing can be compared, becomes null)."""
    codecs = [*comparison.tested, *comparison.anchors]
    return {
        "title": comparison.title,
        "pictures": comparison.pictures,
        "codecs": {codec.name: codec.description for codec in codecs},
        "means": [_finite(asdict(mean)) for mean in means(comparison.rows)],
        "bd_rate": {
            tested.name: {
                measure: {anchor: _finite(asdict(result)) for anchor, result in results.items()}
                for measure, results in comparison.figures(tested).items()
            }
            for tested in comparison.tested
        },
    }


def markdown(comparison: Comparison) -> str:
    """The report as Markdown: BD-rates first, then means a setting, then what each codec was told."""
    parts = [
        f"# {comparison.title}",
        "",
        f"{counted(comparison.pictures, 'picture')}, real files, every byte counted.",
        "",
    ]
    for tested in comparison.tested:
        parts += [f"## {tested.name}: BD-rate", "", bd_table(comparison.figures(tested)), ""]
        parts += [f"![BD-rates a picture](bd-rate-{slug(tested.name)}.png)", ""]
    parts += [
        "## Curves",
        "",
        *(f"![{measure}]({measure.lower()}.png)" for measure in comparison.measures),
        "",
        mean_table(means(comparison.rows)),
        "",
    ]
    parts += ["## Settings", ""]
    parts += [
        f"- **{codec.name}**: {codec.description}." for codec in [*comparison.tested, *comparison.anchors]
    ]
    parts += [
        f"- **{curve.name}** (published, not run here): {curve.source}." for curve in comparison.published
    ]
    return "\n".join(parts) + "\n"


def bd_table(figures: Mapping[str, Mapping[str, BDRate]]) -> str:
    """Markdown: a row an anchor, a column a measure; a cell holds the mean and how many pictures it is of."""
    anchors = list(next(iter(figures.values())))
    lines = [_line(["against", *figures]), _line(["---"] * (len(figures) + 1))]
    lines += [
        _line([anchor, *(bd_cell(results[anchor]) for results in figures.values())]) for anchor in anchors
    ]
    return "\n".join(lines)


def counted(number: int, thing: str) -> str:
    """Like "1 picture" or "24 pictures"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def bd_lines(comparison: Comparison) -> Iterator[str]:
    """A line a measure and anchor, of the first codec under test."""
    for measure, results in comparison.figures(comparison.tested[0]).items():
        for name, result in results.items():
            yield f"BD-rate in {measure} against {name}: {bd_cell(result)}"


def bd_cell(result: BDRate) -> str:
    """Like "-41.2 % (24)", the number of pictures in brackets; "-" when none could be compared."""
    if not result.pictures:
        return "-"
    left_out = f", {len(result.too_little_overlap)} left out" if result.too_little_overlap else ""
    return f"{result.mean:+.1f} % ({result.pictures}{left_out})"


def mean_table(rows: Iterable[Mean]) -> str:
    """Markdown: a row a codec and setting."""
    lines = [
        _line(["codec", "setting", "bpp", "PSNR", "MS-SSIM", "SSIMULACRA2", "encode s", "decode s"]),
        _line(["---"] * 8),
    ]
    return "\n".join(lines + [_line(mean_cells(mean)) for mean in rows])


def mean_cells(mean: Mean) -> list[str]:
    """One Mean as the texts of a table's row."""
    similarity = "-" if mean.ms_ssim is None else f"{mean.ms_ssim:.4f}"
    times = [f"{mean.encode_seconds:.2f}", f"{mean.decode_seconds:.2f}"]
    perceived = "-" if mean.ssimulacra2 is None else f"{mean.ssimulacra2:.1f}"
    return [
        mean.codec,
        f"{mean.setting:g}",
        f"{mean.bpp:.3f}",
        f"{mean.psnr:.2f}",
        similarity,
        perceived,
        *times,
    ]


def slug(name: str) -> str:
    """A name as part of a file name."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _finite(values: dict) -> dict:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
