"""The best paths along lanes: what `quantization.trellis.best_path` finds, with the same roundings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from barycode.machine_code import compiled
from barycode.weights.quantization.trellis import (
    OFFSETS,
    OPTION,
    OPTIONS,
    PREDECESSORS,
    ROUNDING,
    STATES,
    UNREACHED,
    OptionPrices,
)

TOGETHER = 16  # lanes: a line of the cache
_QUARTER = np.float32(0.25)
_ONE = np.float32(1)
_FIRST_WAY, _SECOND_WAY = (np.ascontiguousarray(PREDECESSORS[:, way, 0]) for way in (0, 1))
_FIRST_OPTION, _SECOND_OPTION = (np.ascontiguousarray(OPTION[:, way]) for way in (0, 1))


class Options(NamedTuple):
    """Of all of `OptionPrices`: prices (OPTIONS, n) near the nearest code and below it, and the rest."""

    near: NDArray[np.float32]
    lower: NDArray[np.float32]
    firsts: NDArray[np.float32]
    columns: int
    drop: int


def best_codes(
    targets: NDArray[np.float32], classes: NDArray, prices: list[OptionPrices]
) -> NDArray[np.int32]:
    """Codes (time, lanes) for targets (time, lanes)."""
    near, lower = (np.stack([getattr(each, name) for each in prices]) for name in ("near", "lower"))
    firsts = np.array([each.first for each in prices], np.float32)
    codes = np.empty(targets.shape, np.int32)
    _best_codes(codes, targets, classes, Options(near, lower, firsts, prices[0].columns, prices[0].drop))
    return codes


@compiled
def _best_codes(codes, targets, classes, options):  # type: ignore[no-untyped-def]
    time, lanes = targets.shape
    told = np.empty((time, TOGETHER), np.uint16)
    total, longer = np.empty((TOGETHER, STATES), np.float32), np.empty(STATES, np.float32)
    costs = np.empty(OPTIONS, np.float32)
    for begin in range(0, lanes, TOGETHER):
        count = min(TOGETHER, lanes - begin)
        total[:] = UNREACHED
        total[:, 0] = 0
        for t in range(time):
            for i in range(count):
                size = abs(targets[t, begin + i]) * _QUARTER
                row = np.int64(classes[t, begin + i]) * options.columns
                told[t, i] = _price(costs, size, row, options) | _extend(longer, total[i], costs) << OPTIONS
                total[i] = longer
        for i in range(count):
            _trace_back(codes, targets, told[:, i], begin + i, total[i].argmin())


@compiled
def _price(costs, size, row, options):  # type: ignore[no-untyped-def]
    """The least cost of every option; bits that say where the code below the nearest has it."""
    told = 0
    for option in range(OPTIONS):
        rank = np.float32(np.floor(size + ROUNDING[option]))
        place = row + min(np.int64(rank) >> options.drop, options.columns - 1)
        near = max(rank + OFFSETS[option], options.firsts[option]) - size
        near = near * near + options.near[option, place]
        lower = max(rank + (OFFSETS[option] - _ONE), options.firsts[option]) - size
        lower = lower * lower + options.lower[option, place]
        told |= np.int64(lower < near) << option  # type: ignore[assignment]
        costs[option] = min(near, lower)
    return told


@compiled
def _extend(longer, total, costs):  # type: ignore[no-untyped-def]
    """The costs of the best paths one code longer; bits that say which states come by the second way."""
    told = 0
    for state in range(STATES):
        first = total[_FIRST_WAY[state]] + costs[_FIRST_OPTION[state]]
        second = total[_SECOND_WAY[state]] + costs[_SECOND_OPTION[state]]
        told |= np.int64(second < first) << state  # type: ignore[assignment]
        longer[state] = min(first, second)
    return told


@compiled
def _trace_back(codes, targets, told, lane, state):  # type: ignore[no-untyped-def]
    for t in range(len(told) - 1, -1, -1):
        target, flags = targets[t, lane], np.int64(told[t])
        way = flags >> (OPTIONS + state) & 1
        option = OPTION[state, way]
        rank = np.int64(np.floor(abs(target) * _QUARTER + ROUNDING[option]))
        code = 2 * (rank - (flags >> option & 1)) + (option & 1)
        codes[t, lane] = -code if target < 0 else code
        state = PREDECESSORS[state, way, 0]
