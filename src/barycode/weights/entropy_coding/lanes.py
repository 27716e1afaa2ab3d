"""Range ANS in many lanes: one step of numpy codes a symbol in each of thousands of states (Duda 2013).

Symbol i of n is coded at step i // lanes in lane i % lanes. A state is an integer of 2^16 ... 2^32 - 1; the
encoder walks backwards and moves the low 16 bits of a state out before it would leave that range, the
decoder takes them in again. What a state starts with comes back where the decoder ends: its low 16 bits
carry other data, so that lanes cost nothing.
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from barycode.errors import CorruptFileError
from barycode.weights import compiled

PRECISION = 13
TOTAL = 2**PRECISION
ALPHABET = 256
LANES = 2048
LEAST_STEPS = 16  # symbols of a lane, so that states are little beside them
WORD_BITS = 16
FLOOR = 1 << WORD_BITS


def lanes_for(count: int) -> int:
    """How many lanes code `count` symbols."""
    return max(min(LANES, count // LEAST_STEPS), 1)


@dataclass(frozen=True, eq=False)
class LaneTables:
    """Frequencies (rows, 256) that sum to 2^13 in every row; what never occurs has none."""

    frequencies: NDArray[np.int64]

    @classmethod
    def of(cls, counts: NDArray[np.int64]) -> "LaneTables":
        """Those that suit counts (rows, 256): shares, at least one where there is a count."""
        totals = counts.sum(1, keepdims=True)
        shares = np.maximum((counts * TOTAL + totals // 2) // np.maximum(totals, 1), counts > 0)
        for row, wanted in zip(shares, counts, strict=True):
            _balance(row, wanted)
        return cls(shares)

    @property
    def starts(self) -> NDArray[np.int64]:
        return np.cumsum(self.frequencies, 1) - self.frequencies


def _balance(row: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Make a row sum to TOTAL, where it costs least: at the largest."""
    if not counts.any():
        row[0] = TOTAL
        return
    while (excess := int(row.sum()) - TOTAL) > 0:
        largest = int(row.argmax())
        row[largest] -= min(excess, max(int(row[largest]) // 2, 1))
    row[counts.argmax()] += TOTAL - row.sum()


def encode(
    places: NDArray[np.int64], tables: LaneTables, carried: NDArray[np.uint16]
) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """The last states (lanes,) and the words for symbols, given as places (n,) = 256 row + symbol in the
    tables; `carried` are (lanes,).
    """
    packed = tables.starts << 16 | tables.frequencies
    if compiled.applies(len(places)):
        return _encode_compiled(places, packed, carried)
    lanes, count = len(carried), len(places)
    states = carried.astype(np.int64) + FLOOR
    words: list[NDArray[np.uint16]] = []
    for start in reversed(range(0, count, lanes)):
        coded = packed.take(places[start : start + lanes])
        own = states[: len(coded)]
        frequencies = coded & 0xFFFF
        large = np.flatnonzero(own >= frequencies << 32 - PRECISION)
        spilled = own[large]
        words.append(spilled.astype(np.uint16))
        own[large] = spilled >> WORD_BITS
        # Exact: a quotient of integers below 2^32 and 2^14 is no nearer to an integer than 2^-14.
        quotients = (own / frequencies).astype(np.int64)
        own += quotients * (TOTAL - frequencies) + (coded >> 16)
    return states.astype(np.uint32), np.concatenate([*words[::-1], np.zeros(0, np.uint16)])


def decode(
    states: NDArray[np.uint32], words: NDArray[np.uint16], rows: NDArray[np.uint8], tables: LaneTables
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Symbols (n,) for their rows (n,), and what the states carried; CorruptFileError for other data."""
    # What a slot of a row says: its place in the symbol's interval, that interval's size, the symbol.
    slots = np.concatenate([_slots(row) for row in tables.frequencies])
    lanes, count = len(states), len(rows)
    own = states.astype(np.int64)
    symbols, taken = np.empty(count, np.uint8), 0
    if compiled.applies(count):
        taken = _loops().decode(own, words, rows, slots, symbols)
        return symbols, _carried(own, taken == len(words))
    for start in range(0, count, lanes):
        of_rows = rows[start : start + lanes].astype(np.int64)
        of_rows <<= PRECISION
        live = own[: len(of_rows)]
        of_rows |= live & TOTAL - 1
        told = slots.take(of_rows)
        symbols[start : start + lanes] = told & 0xFF
        live >>= PRECISION
        live *= told >> 8 & 0x3FFF
        live += told >> 22
        small = np.flatnonzero(live < FLOOR)
        if taken + len(small) > len(words):
            raise CorruptFileError("The coded symbols end too early: the file is damaged.")
        live[small] = live[small] << WORD_BITS | words[taken : taken + len(small)]
        taken += len(small)
    return symbols, _carried(own, taken == len(words))


def _carried(states: NDArray[np.int64], complete: bool) -> NDArray[np.uint16]:
    """What the states carried, if they and the words are those of an encoder."""
    if not complete or (states >> WORD_BITS != 1).any():
        raise CorruptFileError("No encoder writes these coded symbols: the file is damaged.")
    return states.astype(np.uint16)


def _encode_compiled(
    places: NDArray[np.int64], packed: NDArray[np.int64], carried: NDArray[np.uint16]
) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    states = carried.astype(np.uint64) + np.uint64(FLOOR)
    words = np.empty(len(places), np.uint16)
    used = _loops().encode(places, packed.ravel(), states, words)
    return states.astype(np.uint32), words[used:].copy()


def _loops() -> ModuleType:
    return import_module("barycode.weights.compiled.lanes")


def _slots(frequencies: NDArray[np.int64]) -> NDArray[np.int64]:
    symbols = np.repeat(np.arange(ALPHABET), frequencies)
    starts = np.repeat(np.cumsum(frequencies) - frequencies, frequencies)
    return (np.arange(TOTAL) - starts) << 22 | np.repeat(frequencies, frequencies) << 8 | symbols
