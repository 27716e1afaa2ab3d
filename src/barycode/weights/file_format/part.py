"""A part of a file: some tensors under one coder, whose tables learn from one tensor for the next.

In the stream: the exact tensors in order, the scales of all others in order, then their codes; tensors of the
same kind of method and the same shift are one sequence. Beside it: the groups, bytes of their own for exact
tensors that are large or quick.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from barycode.weights.entropy_coding.adaptive_tables import AdaptiveTables, flat
from barycode.weights.entropy_coding.channel_scales import Grid, ScaleCoder, Scales
from barycode.weights.entropy_coding.float_fields import FloatScales, pack_floats, unpack_floats
from barycode.weights.entropy_coding.float_planes import pack_planes, unpack_planes
from barycode.weights.entropy_coding.integer_fields import (
    folded,
    integer_scales,
    pack_integers,
    unfolded,
    unpack_integers,
)
from barycode.weights.entropy_coding.lossless import Bits, FloatCoder, IntegerCoder, code_learning
from barycode.weights.entropy_coding.quantized import CLASSES, PIECE, ZERO_CLASS, CodeCoder
from barycode.weights.entropy_coding.symbol_costs import CostRecorder
from barycode.weights.entropy_coding.symbol_stream import Exchange
from barycode.weights.file_format.items import Item
from barycode.weights.file_format.methods import (
    CodeVectors,
    Exact,
    Fields,
    Integers,
    Leveled,
    Planes,
    Trellis,
)
from barycode.weights.file_format.number_formats import FLOATS, element_bytes, real_dtype
from barycode.weights.quantization.curvature import Curvature, Matrix, placed


class PartCoder:
    """Codes the tensors of one part.

    A tensor's source and result are one array (n,): its bits for an exact one; integer codes for a uniform
    grid or a codebook; an index for each run of entries for code vectors; for the trellis, weights in steps
    in, points out, times their gains if leveled.
    """

    def __init__(
        self, exchange: Exchange, recorder: CostRecorder | None = None, groups: Sequence[bytes] = ()
    ) -> None:
        self.groups = list(groups)  # those written, or those that are still to be read
        self._exchange = exchange if recorder is None else recorder
        self._recorder = recorder
        self._bits: list[float] = []  # of each item so far
        self._floats: dict[torch.dtype, FloatCoder] = {}
        self._group_scales: dict[torch.dtype, FloatScales] = {}
        self._integers = IntegerCoder()
        self._scales = ScaleCoder()
        self._codes = CodeCoder()
        self._indices: dict[tuple[int, int], AdaptiveTables] = {}

    def code(
        self,
        items: Sequence[Item],
        sources: Sequence[NDArray] | None,
        curvatures: Mapping[int, Curvature] | None = None,
    ) -> list[NDArray]:
        """The results of all items; `sources` while writing, with the curvatures of some of them."""
        self._bits = [0.0] * len(items)
        results: dict[int, NDArray] = {}
        scales: dict[int, Scales] = {}
        for members in grouped(items):
            results |= self._group(items, members, sources)
        for kind, coded in ((Exact, self._exact), (CodeVectors, self._runs)):
            for i in (i for i, item in enumerate(items) if isinstance(item.method, kind)):
                if i not in results:
                    results[i] = coded(items[i], None if sources is None else sources[i])
                    self._charge([i], [1])
        for i in sorted(set(range(len(items))) - set(results)):
            scales[i] = self._measured(items[i], None if sources is None else sources[i])
            self._charge([i], [1])
        for on_trellis, shift, members in _sequences(items):
            joined = np.concatenate([_classes(items[i], scales[i]) for i in members])
            source = None
            if sources is not None:
                source = np.concatenate([_leveled(items[i], sources[i], scales[i]) for i in members])
            sizes = [items[i].entry.size for i in members]
            matrices = _matrices(items, scales, members, curvatures or {})
            codes = self._codes.code(self._exchange, joined, source, on_trellis, shift, matrices)
            self._charge(members, sizes)
            for i, own in zip(members, np.split(codes, np.cumsum(sizes)[:-1]), strict=True):
                results[i] = own * scales[i].gains() if isinstance(items[i].method, Leveled) else own
        return [results[i] for i in range(len(items))]

    def costs(self) -> list[float]:
        """The bits of every item, where there is a recorder; else those of the groups alone."""
        return self._bits

    def _charge(self, members: Sequence[int], sizes: Sequence[int]) -> None:
        """Share the bits spent since the last time among items: all to one, or by the codes of a sequence."""
        if self._recorder is None:
            return
        spent = self._recorder.take()
        ends = np.cumsum(sizes)
        parts = [spent] if len(members) == 1 else np.split(_by_code(spent, int(ends[-1])), ends[:-1])
        for member, part in zip(members, parts, strict=True):
            self._bits[member] += float(part.sum(dtype=np.float64))

    def _group(
        self, items: Sequence[Item], members: Sequence[int], sources: Sequence[NDArray] | None
    ) -> dict[int, Bits]:
        """Exact tensors whose bits are one group of bytes, by their places."""
        dtype = real_dtype(items[members[0]].entry.dtype)
        grids = [Grid.of(items[i].numbers) for i in members]
        own = None if sources is None else [sources[i] for i in members]
        method = items[members[0]].method
        if isinstance(method, Planes):
            width, form = element_bytes(dtype), FLOATS.get(dtype)
            data = self._beside(None if own is None else pack_planes(own[0], form, method.level))
            bits = own[0] if own is not None else unpack_planes(data, grids[0].size, width, form)
        elif isinstance(method, Integers):
            data, bits = self._integers_group(grids[0], dtype, None if own is None else own[0])
        else:
            classes = self._float_scales(dtype).code(self._exchange, grids, own)
            joined = None if own is None else np.concatenate(own)
            data = self._beside(None if joined is None else pack_floats(joined, classes, FLOATS[dtype]))
            bits = joined if joined is not None else unpack_floats(data, classes, FLOATS[dtype])
        sizes = [grid.size for grid in grids]
        told = 0.0 if self._recorder is None else float(self._recorder.take().sum())
        for i, size in zip(members, sizes, strict=True):
            self._bits[i] += (told + 8 * len(data)) * size / sum(sizes)
        return dict(zip(members, np.split(bits, np.cumsum(sizes)[:-1]), strict=True))

    def _integers_group(self, grid: Grid, dtype: torch.dtype, bits: Bits | None) -> tuple[bytes, Bits]:
        signed = dtype.is_signed
        numbers = None if bits is None else folded(bits, signed)
        scales = self._scales.code(
            self._exchange, grid, None if numbers is None else integer_scales(numbers, grid)
        )
        data = self._beside(None if numbers is None else pack_integers(numbers, scales))
        if bits is not None:
            return data, bits
        return data, unfolded(unpack_integers(data, scales, element_bytes(dtype)), signed)

    def _beside(self, data: bytes | None) -> bytes:
        if data is None:
            return self.groups.pop(0)
        self.groups.append(data)
        return data

    def _float_scales(self, dtype: torch.dtype) -> FloatScales:
        return self._group_scales.setdefault(dtype, FloatScales(FLOATS[dtype]))

    def _exact(self, item: Item, bits: Bits | None) -> Bits:
        dtype = real_dtype(item.entry.dtype)
        if not item.entry.size:
            return np.zeros(0, f"u{element_bytes(dtype)}")
        if dtype in FLOATS:
            if dtype not in self._floats:
                self._floats[dtype] = FloatCoder(FLOATS[dtype])
            return self._floats[dtype].code(self._exchange, Grid.of(item.numbers), bits)
        size = Grid.of(item.numbers).size
        return self._integers.code(self._exchange, size, 8 * element_bytes(dtype), bits)

    def _runs(self, item: Item, indices: NDArray | None) -> NDArray[np.int32]:
        method = item.method
        assert isinstance(method, CodeVectors)
        tables = self._indices.setdefault(
            (method.codebook, method.size), AdaptiveTables(flat(1, method.size))
        )
        rows = np.zeros(-(-item.entry.size // method.dimension), np.int64)
        return code_learning(self._exchange, tables, rows, indices)

    def _measured(self, item: Item, source: NDArray | None) -> Scales:
        assert not isinstance(item.method, Exact | CodeVectors)
        grid, scales = Grid.of(item.entry.shape), None
        unit = 2.0**item.method.shift * (2 if isinstance(item.method, Trellis) else 1)
        if source is not None:
            scales = Scales.measure(np.abs(source) * np.float32(1 / unit), grid)
        return self._scales.code(self._exchange, grid, scales)


def grouped(items: Sequence[Item]) -> list[list[int]]:
    """The places of the tensors of each group: all `Fields` of one type together, all others alone."""
    fields: dict[torch.dtype, list[int]] = {}
    alone = []
    for i, item in enumerate(items):
        if isinstance(item.method, Fields):
            fields.setdefault(real_dtype(item.entry.dtype), []).append(i)
        elif isinstance(item.method, Planes | Integers):
            alone.append([i])
    return [*fields.values(), *alone]


def _classes(item: Item, scales: Scales) -> NDArray[np.uint8]:
    known = scales.leveled() if isinstance(item.method, Leveled) else scales
    return known.classes(CLASSES, ZERO_CLASS)


def _leveled(item: Item, source: NDArray, scales: Scales) -> NDArray:
    return source / scales.gains() if isinstance(item.method, Leveled) else source


def _matrices(
    items: Sequence[Item],
    scales: Mapping[int, Scales],
    members: Sequence[int],
    curvatures: Mapping[int, Curvature],
) -> list[Matrix]:
    """The curvatures of a sequence's members, in the units of their codes, where their entries are."""
    found, start = [], 0
    for i in members:
        if i in curvatures:
            own = curvatures[i]
            if isinstance(items[i].method, Leveled):
                own = own.scaled(scales[i].gains()[: own.columns])
            found.append((start, own))
        start += items[i].entry.size
    return placed(found)


def _by_code(spent: NDArray, count: int) -> NDArray:
    """What each code of a sequence cost: of every piece, first the low bits are told and then the rest."""
    pieces = [spent[2 * start : 2 * min(start + PIECE, count)] for start in range(0, count, PIECE)]
    return np.concatenate([piece.reshape(2, -1).sum(0) for piece in pieces] or [spent])


def _sequences(items: Sequence[Item]) -> list[tuple[bool, int, list[int]]]:
    """(on the trellis, shift, places of the items), in that order."""
    found: dict[tuple[bool, int], list[int]] = {}
    for i, item in enumerate(items):
        if not isinstance(item.method, Exact | CodeVectors):
            found.setdefault((isinstance(item.method, Trellis), item.method.shift), []).append(i)
    return [(*key, members) for key, members in sorted(found.items())]
