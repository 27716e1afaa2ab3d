"""What others report of their codecs on the Kodak pictures: copied figures, nothing of it was run here.

Cool-chic learns a decoder for each picture (minutes to hours of encoding); shallow-ntc refines the codes of
each picture by stochastic Gumbel annealing. Rates are as their authors report them.
"""

import csv
import json
import statistics
from collections import defaultdict
from pathlib import Path

from barycode.evaluation.metrics import ms_ssim_db
from barycode.evaluation.plots import PublishedCurve
from barycode.evaluation.rate_distortion import Row

HERE = Path(__file__).parent / "published"
COOL_CHIC = "Cool-chic 5.0"
SHALLOW_NTC = "shallow-ntc, 2 layers + SGA"
PEAK = 255


def published_curves() -> list[PublishedCurve]:
    """The curves for the figure, as means over the 24 pictures."""
    return [
        PublishedCurve(
            COOL_CHIC,
            "github.com/Orange-OpenSource/Cool-Chic, results/v5.0/image-kodak.tsv; rates as reported there",
            {"PSNR": _means(cool_chic_rows())},
        ),
        PublishedCurve(
            SHALLOW_NTC,
            "github.com/mandt-lab/shallow-ntc, results/kodak/aggregate.json (ICCV 2023)",
            _shallow_ntc(),
        ),
    ]


def cool_chic_rows() -> list[Row]:
    """Every picture's reported points as rows, for a BD-rate; they have no times and no other measure."""
    with (HERE / "cool-chic-5.0.tsv").open(newline="") as lines:
        return [_row(line) for line in csv.DictReader(lines, delimiter="\t")]


def _row(line: dict[str, str]) -> Row:
    pixels, mse = int(line["n_pixels"]), PEAK**2 * 10 ** (-float(line["psnr_db"]) / 10)
    size = round(float(line["rate_bpp"]) * pixels / 8)
    return Row(COOL_CHIC, line["seq_name"], -float(line["lmbda"]), size, pixels, mse, None, 0, 0)


def _means(rows: list[Row]) -> list[tuple[float, float]]:
    groups: dict[float, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.setting].append(row)
    return sorted(
        (statistics.fmean(row.bpp for row in group), statistics.fmean(row.psnr for row in group))
        for group in groups.values()
    )


def _shallow_ntc() -> dict[str, list[tuple[float, float]]]:
    points = json.loads((HERE / "shallow-ntc.json").read_text())["2-layer_syn+SGA"]
    similarity = map(ms_ssim_db, points["msssim"])
    return {
        "PSNR": list(zip(points["bpp"], points["psnr"], strict=True)),
        "MS-SSIM": list(zip(points["bpp"], similarity, strict=True)),
    }
