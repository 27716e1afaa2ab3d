"""How the step is shared out among tensors, with data: by what their errors do to the network's outputs.

At high rate a tensor of n entries with step d costs scale * n * d^2 of output error and n * log2(1 / d) bits:
their sum is least where scale * d^2 is the same everywhere.
"""

from collections.abc import Mapping, Sequence
from math import exp, log

from barycode.errors import InvalidInputError
from barycode.weights.calibration.statistics import Calibration, LayerStatistics
from barycode.weights.file_format.directory import Entry
from barycode.weights.quantization.curvature import Curvature, curvature_of


def calibrated(
    entries: Sequence[Entry], calibration: Calibration, shares: Mapping[str, float]
) -> tuple[dict[str, Curvature], dict[str, float]]:
    """The curvatures of tensors by name, and the shares of the step of all tensors.

    Among tensors with statistics a share goes with scale^(-1/2); all together keep the part of the step that
    `shares` give them.
    """
    curvatures: dict[str, Curvature] = {}
    logs: dict[str, tuple[float, int]] = {}
    for entry in entries:
        statistics = calibration.layers.get(entry.name)
        if statistics is not None and entry.size:
            _check(entry, statistics)
            curvature, scale = curvature_of(statistics, entry.size // entry.shape[0])
            curvatures[entry.name] = curvature
            logs[entry.name] = -log(scale) / 2, entry.size
    if not logs:
        raise InvalidInputError(
            "The calibration knows no tensor that is quantized: calibrate the model whose state dict this is."
        )
    total = sum(size for _, size in logs.values())
    mean = sum(value * size for value, size in logs.values()) / total
    before = sum(log(shares.get(name, 1.0)) * size for name, (_, size) in logs.items()) / total
    return curvatures, {**shares, **{name: exp(value - mean + before) for name, (value, _) in logs.items()}}


def _check(entry: Entry, statistics: LayerStatistics) -> None:
    """Whether statistics are those of a tensor of this shape."""
    rows, moments = len(statistics.rows), statistics.moments
    columns = entry.size // entry.shape[0] if entry.shape else 0
    fits = entry.shape[:1] == (rows,)
    if fits and moments is not None:
        fits = tuple(moments.shape[1:]) == (columns, columns) and rows % len(moments) == 0
    if not fits:
        form = f"{rows} rows" if moments is None else f"{rows} rows of {moments.shape[-1]} weights"
        raise InvalidInputError(
            f"The calibration of {entry.name!r} is for {form}: the tensor has shape {entry.shape}."
        )
