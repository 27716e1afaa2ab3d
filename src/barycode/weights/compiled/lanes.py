"""Range ANS in lanes: what `entropy_coding.lanes` codes, symbol by symbol."""

from __future__ import annotations

import numpy as np

from barycode.machine_code import compiled
from barycode.weights.entropy_coding.lanes import FLOOR, PRECISION, TOTAL, WORD_BITS

_SPILLS = np.uint64(32 - PRECISION)
_WORD = np.uint64(WORD_BITS)
_LOW = np.uint64(FLOOR - 1)


@compiled
def encode(places, packed, states, words):  # type: ignore[no-untyped-def]
    """Fill words (n,) from behind for the symbols at places (n,), move the states; the first word used."""
    used, lanes = len(words), len(states)
    for start in range((len(places) - 1) // lanes * lanes, -1, -lanes):
        for lane in range(min(lanes, len(places) - start) - 1, -1, -1):
            coded = np.uint64(packed[places[start + lane]])
            frequency, own = coded & _LOW, states[lane]
            if own >= frequency << _SPILLS:
                used -= 1
                words[used] = own & _LOW
                own >>= _WORD
            states[lane] = own + own // frequency * (np.uint64(TOTAL) - frequency) + (coded >> _WORD)
    return used


@compiled
def decode(states, words, rows, slots, symbols):  # type: ignore[no-untyped-def]
    """Fill symbols (n,), move the states; how many words were taken, -1 where there are too few."""
    taken, lanes = 0, len(states)
    for start in range(0, len(rows), lanes):
        for lane in range(min(lanes, len(rows) - start)):
            own = states[lane]
            told = slots[np.int64(rows[start + lane]) << PRECISION | own & (TOTAL - 1)]
            symbols[start + lane] = told & 0xFF
            own = (own >> PRECISION) * (told >> 8 & 0x3FFF) + (told >> 22)
            if own < FLOOR:
                if taken == len(words):
                    return -1
                own = own << WORD_BITS | np.int64(words[taken])
                taken += 1
            states[lane] = own
    return taken
