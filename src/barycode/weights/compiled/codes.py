"""Codes in lanes under tables that learn: what `entropy_coding.code_lanes.walk` does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from barycode.machine_code import compiled
from barycode.rate import SymbolDecoder, SymbolEncoder
from barycode.rate.compiled_range_coder import (
    BITS,
    CompiledRangeDecoder,
    CompiledRangeEncoder,
    put,
    put_uniform,
    take,
    take_symbol,
    take_uniform,
)
from barycode.rate.symbols import ESCAPE_STARTS, LIMB, MAX_MAGNITUDE
from barycode.rate.tables import PRECISION, TOTAL
from barycode.weights.entropy_coding.adaptive_tables import INCREMENT, AdaptiveTables
from barycode.weights.entropy_coding.code_lanes import CLASSES, PLAIN, TIME, CodeLanes
from barycode.weights.entropy_coding.symbol_stream import Costs, Integers, Reading, Writing
from barycode.weights.quantization.trellis import NEXT

LONGEST = ESCAPE_STARTS.size - 2  # bits of an escape
VECTOR, NOWHERE = 16, np.uint32(2**32 - 1)
MOST_WORDS = 4  # of a code: itself, the length of its excess, and that in two limbs


class CompiledWriting(Writing):
    """Writes lanes in one loop."""

    def __init__(self) -> None:
        self._coder = CompiledRangeEncoder()
        super().__init__(SymbolEncoder(self._coder))

    def lanes(
        self, tables: AdaptiveTables, lanes: CodeLanes, high: Integers | None, bits: Costs | None
    ) -> Integers:
        coder, piece = self._coder, _piece(lanes, bits)
        coder.reserve(MOST_WORDS * lanes.count)
        state = coder.words, coder.lower, coder.width, coder.used
        with tables.learning() as counts:
            coder.moved(_write_lanes(*state, counts, piece, high))
        return piece.points


class CompiledReading(Reading):
    """Reads lanes in one loop."""

    def __init__(self, data: bytes) -> None:
        self._coder = CompiledRangeDecoder(data)
        super().__init__(SymbolDecoder(data, coder=self._coder))

    def lanes(
        self, tables: AdaptiveTables, lanes: CodeLanes, high: Integers | None, bits: Costs | None
    ) -> Integers:
        coder, piece = self._coder, _piece(lanes, bits)
        state = coder.words, coder.offset, coder.width, coder.read
        with tables.learning() as counts:
            coder.moved(_read_lanes(*state, counts, piece))
        return piece.points


class Piece(NamedTuple):
    """What both sides know of a piece, as in `CodeLanes`; the points, and bits (0, 0) where none are told."""

    classes: NDArray[np.uint8]
    low: NDArray[np.int32]
    shift: int
    on_trellis: bool
    count: int  # type: ignore[assignment]
    points: NDArray[np.int32]
    bits: NDArray[np.float32]


class Tables(NamedTuple):
    """Counts (T, A), where the symbols of a row start now (A + 1,), with NOWHERE behind them up to whole
    vectors of the processor, and their bits (A,), if any are told.
    """

    counts: NDArray[np.int64]
    starts: NDArray[np.uint32]
    lengths: NDArray[np.float32]


class Call(NamedTuple):
    """One code of every lane: row, value and bits; the lanes by row and where each row begins among them."""

    rows: NDArray[np.int64]
    values: NDArray[np.int64]
    bits: NDArray[np.float32]
    order: NDArray[np.int64]
    begins: NDArray[np.int64]


def _piece(lanes: CodeLanes, bits: Costs | None) -> Piece:
    costs = np.empty((0, 0), np.float32) if bits is None else bits
    points = np.zeros(lanes.low.shape, np.int32)
    return Piece(lanes.classes, lanes.low, lanes.shift, lanes.on_trellis, lanes.count, points, costs)


@compiled
def _write_lanes(words, lower, width, used, counts, piece, high):  # type: ignore[no-untyped-def]
    """The state of the encoder after the codes `high` (TIME, lanes); the counts have learned them."""
    tables, call, states = _room(counts, piece)
    for time in range(min(TIME, piece.count)):
        live = _begin(call, piece, states, time)
        call.values[:live] = high[time, :live]
        for row in range(len(counts)):
            if call.begins[row] < call.begins[row + 1]:
                lower, width, used = _write_row(words, lower, width, used, tables, call, row)
        escaped = _escaped(call.values[:live], counts.shape[1] // 2)
        if len(escaped):
            lower, width, used = _write_escapes(words, lower, width, used, tables, call, escaped)
        _end(call, piece, states, time, live)
    return lower, width, used


@compiled
def _read_lanes(words, offset, width, read, counts, piece):  # type: ignore[no-untyped-def]
    """The state of the decoder after the codes, whose points are told, and whether all went well."""
    tables, call, states = _room(counts, piece)
    for time in range(min(TIME, piece.count)):
        live = _begin(call, piece, states, time)
        for row in range(len(counts)):
            if call.begins[row] < call.begins[row + 1]:
                offset, width, read, well = _read_row(words, offset, width, read, tables, call, row)
                if not well:
                    return offset, width, read, False
        escaped = _escaped(call.values[:live], counts.shape[1] // 2)
        if len(escaped):
            offset, width, read, well = _read_escapes(words, offset, width, read, tables, call, escaped)
            if not well:
                return offset, width, read, False
        _end(call, piece, states, time, live)
    return offset, width, read, True


@compiled
def _room(counts, piece):  # type: ignore[no-untyped-def]
    """Tables, a call and the states of the lanes."""
    rows, alphabet = counts.shape
    lanes, told = piece.low.shape[1], min(piece.bits.size, 1)
    starts = np.full(-(-(alphabet + 1) // VECTOR) * VECTOR, NOWHERE)
    tables = Tables(counts, starts, np.empty(told * alphabet, np.float32))
    call = Call(
        np.empty(lanes, np.int64),
        np.empty(lanes, np.int64),
        np.empty(told * lanes, np.float32),
        np.empty(lanes, np.int64),
        np.empty(rows + 1, np.int64),
    )
    return tables, call, np.zeros(lanes, np.uint8)


@compiled
def _begin(call, piece, states, time):  # type: ignore[no-untyped-def]
    """Put the lanes in order by row; how many there are: the last may end before the others."""
    live = -(-(piece.count - time) // TIME)
    ends = np.zeros(len(call.begins), np.int64)
    for lane in range(live):
        family = np.int64(states[lane] & 1) if piece.on_trellis else PLAIN
        row = np.int64(piece.classes[time, lane]) + family * CLASSES
        call.rows[lane] = row
        ends[row + 1] += 1
    for row in range(1, len(ends)):  # type: ignore[assignment]
        ends[row] += ends[row - 1]
    call.begins[:] = ends
    for lane in range(live):
        row = call.rows[lane]
        call.order[ends[row]] = lane
        ends[row] += 1
    return live


@compiled
def _refresh(tables, row):  # type: ignore[no-untyped-def]
    """Where the symbols of a row start now, as `apportion` has it, and their bits."""
    starts, own = tables.starts, tables.counts[row]
    total, spare = np.uint64(own.sum()), np.uint64(TOTAL - len(own))
    largest, rest = 0, TOTAL
    for k in range(len(own)):
        share = 1 + np.int64(np.uint64(own[k]) * spare // total)
        rest -= share
        starts[k + 1] = share
        if own[k] > own[largest]:
            largest = k
    starts[largest + 1] += rest
    for k in range(len(tables.lengths)):
        tables.lengths[k] = PRECISION - np.log2(np.float64(starts[k + 1]))
    starts[0] = 0
    for k in range(len(own)):
        starts[k + 1] += starts[k]


@compiled
def _write_row(words, lower, width, used, tables, call, row):  # type: ignore[no-untyped-def]
    _refresh(tables, row)
    starts, lengths, own = (
        tables.starts,
        tables.lengths,
        tables.counts[row],
    )  # fields cost a count of references
    order, values, bits = call.order[call.begins[row] : call.begins[row + 1]], call.values, call.bits
    limit = len(own) // 2
    for lane in order:
        symbol = min(max(values[lane], -limit), limit) + limit
        lower, width, used = put(words, lower, width, used, starts[symbol], starts[symbol + 1])
        own[symbol] += INCREMENT
        if len(lengths):
            bits[lane] = lengths[symbol]
    return lower, width, used


@compiled
def _read_row(words, offset, width, read, tables, call, row):  # type: ignore[no-untyped-def]
    _refresh(tables, row)
    starts, lengths, own = tables.starts, tables.lengths, tables.counts[row]
    order, values, bits = call.order[call.begins[row] : call.begins[row + 1]], call.values, call.bits
    limit = len(own) // 2
    for lane in order:
        share = offset // (width >> BITS)
        if share >= TOTAL:
            return offset, width, read, False
        symbol = _symbol_at(starts, np.uint32(share))
        offset, width, read = take(words, offset, width, read, starts[symbol], starts[symbol + 1])
        values[lane] = symbol - limit
        own[symbol] += INCREMENT
        if len(lengths):
            bits[lane] = lengths[symbol]
    return offset, width, read, True


@compiled
def _symbol_at(starts, share):  # type: ignore[no-untyped-def]
    """The last symbol that starts there or before: a count, which takes no guess of the processor's."""
    count = np.int32(-1)
    for k in range(len(starts)):
        count += np.int32(starts[k] <= share)
    return count


@compiled
def _end(call, piece, states, time, live):  # type: ignore[no-untyped-def]
    """Tell the points and the bits, move the states on."""
    for lane in range(live):
        code = np.int64(np.int32((call.values[lane] << piece.shift) + piece.low[time, lane]))
        if piece.on_trellis:
            sign = np.int64(code > 0) - np.int64(code < 0)
            piece.points[time, lane] = 2 * code - sign * np.int64(states[lane] & 1)
            states[lane] = NEXT[states[lane], code & 1]
        else:
            piece.points[time, lane] = code
    if len(call.bits):
        piece.bits[time, :live] = call.bits[:live]


@compiled
def _escaped(values, limit):  # type: ignore[no-untyped-def]
    """The lanes whose values are at the limit or beyond, in order."""
    found, count = np.empty(len(values), np.int64), 0
    for lane in range(len(values)):
        if abs(values[lane]) >= limit:
            found[count] = lane
            count += 1
    return found[:count]


@compiled
def _bit_length(value):  # type: ignore[no-untyped-def]
    length = 0
    while value:
        value >>= 1
        length += 1
    return length


@compiled
def _write_escapes(words, lower, width, used, tables, call, escaped):  # type: ignore[no-untyped-def]
    limit = tables.counts.shape[1] // 2
    lengths, rests = np.empty(len(escaped), np.int64), np.empty(len(escaped), np.int64)
    for i in range(len(escaped)):
        more = abs(call.values[escaped[i]]) - limit + 1
        lengths[i] = n = _bit_length(more) - 1
        rests[i] = more - (1 << n)
        lower, width, used = put(words, lower, width, used, ESCAPE_STARTS[n], ESCAPE_STARTS[n + 1])
    _charge(call, escaped, lengths)
    for n in range(1, LONGEST + 1):
        for begin in range(0, n, LIMB):
            bits = min(LIMB, n - begin)
            for i in np.flatnonzero(lengths == n):  # type: ignore[assignment]
                part = rests[i] >> begin & ((1 << bits) - 1)
                lower, width, used = put_uniform(words, lower, width, used, part, bits)
    return lower, width, used


@compiled
def _read_escapes(words, offset, width, read, tables, call, escaped):  # type: ignore[no-untyped-def]
    limit = tables.counts.shape[1] // 2
    lengths, rests = np.empty(len(escaped), np.int64), np.zeros(len(escaped), np.int64)
    for i in range(len(escaped)):
        lengths[i], offset, width, read = take_symbol(words, offset, width, read, ESCAPE_STARTS, 0)
        if lengths[i] < 0:
            return offset, width, read, False
    _charge(call, escaped, lengths)
    for n in range(1, LONGEST + 1):
        for begin in range(0, n, LIMB):
            for i in np.flatnonzero(lengths == n):  # type: ignore[assignment]
                part, offset, width, read = take_uniform(words, offset, width, read, min(LIMB, n - begin))
                if part < 0:
                    return offset, width, read, False
                rests[i] |= part << begin
    return offset, width, read, _exceeding(call, escaped, rests + (1 << lengths) - 1, limit)


@compiled
def _exceeding(call, escaped, excesses, limit):  # type: ignore[no-untyped-def]
    """Move values away from zero by their excesses; whether they are within what a value may be."""
    for i in range(len(escaped)):
        if excesses[i] > MAX_MAGNITUDE - limit:
            return False
        value = call.values[escaped[i]]
        call.values[escaped[i]] = value + excesses[i] if value > 0 else value - excesses[i]
    return True


@compiled
def _charge(call, escaped, lengths):  # type: ignore[no-untyped-def]
    """What escapes of these lengths cost."""
    if len(call.bits):
        for i in range(len(escaped)):
            call.bits[escaped[i]] += 2 * lengths[i] + 1
