"""From rows to the figures that a table prints."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from barycode.evaluation.bd_rate import BDRate, bd_rate
from barycode.evaluation.metrics import ms_ssim_db, psnr_of_mse
from barycode.evaluation.rate_distortion import Row, of_codec

QUALITIES = {"PSNR": "psnr", "MS-SSIM": "ms_ssim_db", "SSIMULACRA2": "ssimulacra2"}


@dataclass(frozen=True)
class Mean:
    """Means over the pictures at one setting of one codec: for the eye, never the source of a BD-rate.

    ms_ssim and ssimulacra2 are None where a picture has none.
    """

    codec: str
    setting: float
    pictures: int
    bpp: float
    psnr: float
    ms_ssim: float | None
    encode_seconds: float
    decode_seconds: float
    ssimulacra2: float | None = None

    @property
    def ms_ssim_db(self) -> float | None:
        return None if self.ms_ssim is None else ms_ssim_db(self.ms_ssim)


def means(rows: Iterable[Row]) -> list[Mean]:
    """One Mean a codec and setting, in order of codec and then of rate."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.codec, row.setting), []).append(row)
    order = list(dict.fromkeys(codec for codec, _ in groups))
    return sorted(
        (_mean(group) for group in groups.values()), key=lambda mean: (order.index(mean.codec), mean.bpp)
    )


def _mean(rows: Sequence[Row]) -> Mean:
    return Mean(
        codec=rows[0].codec,
        setting=rows[0].setting,
        pictures=len(rows),
        bpp=statistics.fmean(row.bpp for row in rows),
        # An identical picture has infinite PSNR; the mean is of decibels as long as all are finite.
        psnr=statistics.fmean(row.psnr for row in rows)
        if all(row.mse for row in rows)
        else _pooled_psnr(rows),
        ms_ssim=_mean_if_all(row.ms_ssim for row in rows),
        encode_seconds=statistics.fmean(row.encode_seconds for row in rows),
        decode_seconds=statistics.fmean(row.decode_seconds for row in rows),
        ssimulacra2=_mean_if_all(row.ssimulacra2 for row in rows),
    )


def _mean_if_all(values: Iterable[float | None]) -> float | None:
    """The mean of the values, None if one of them is None."""
    values = list(values)
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _pooled_psnr(rows: Sequence[Row]) -> float:
    return psnr_of_mse(statistics.fmean(row.mse for row in rows))


def bd_rates(rows: Sequence[Row], tested: str, anchors: Iterable[str]) -> dict[str, dict[str, BDRate]]:
    """BD-rates of the codec `tested`: measure ("PSNR", "MS-SSIM") -> anchor -> BDRate."""
    rows_of_tested = of_codec(rows, tested)
    return {
        measure: {anchor: bd_rate(of_codec(rows, anchor), rows_of_tested, quality) for anchor in anchors}
        for measure, quality in QUALITIES.items()
    }
