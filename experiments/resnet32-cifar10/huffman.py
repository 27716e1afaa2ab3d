"""Canonical Huffman codes: the entropy coder of the classical rows."""

import heapq

import numpy as np
from numpy.typing import NDArray

from barycode.container import ByteReader, ByteWriter


def huffman_bytes(symbols: NDArray[np.int64]) -> bytes:
    """Symbols (n,) >= 0: how many, the code lengths of 0 ... max, the code words, high bits first."""
    counts = np.bincount(symbols) if symbols.size else np.zeros(0, np.int64)
    lengths = code_lengths(counts)
    writer = ByteWriter()
    writer.varint(symbols.size)
    writer.varint(len(lengths))
    writer.raw(lengths.astype(np.uint8).tobytes())
    widths = lengths[symbols]
    words = code_words(lengths)[symbols]
    bits = np.zeros(int(widths.sum()), np.uint8)
    starts = np.cumsum(widths) - widths
    for place in range(int(widths.max(initial=0))):
        has = widths > place
        bits[starts[has] + place] = words[has] >> (widths[has] - 1 - place) & 1
    payload = np.packbits(bits).tobytes()
    writer.varint(len(payload))
    writer.raw(payload)
    return writer.finish()


def read_huffman(reader: ByteReader) -> NDArray[np.int64]:
    """The symbols that `huffman_bytes` wrote."""
    count, alphabet = reader.varint(), reader.varint()
    lengths = np.frombuffer(reader.raw(alphabet), np.uint8).astype(np.int64)
    bits = np.unpackbits(np.frombuffer(reader.raw(reader.varint()), np.uint8)).tolist()
    words = code_words(lengths)
    meaning = {(int(lengths[s]), int(words[s])): s for s in np.flatnonzero(lengths)}
    symbols = np.empty(count, np.int64)
    place = 0
    for i in range(count):
        length = word = 0
        while (length, word) not in meaning:
            word = word << 1 | bits[place]
            length, place = length + 1, place + 1
        symbols[i] = meaning[length, word]
    return symbols


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of the Huffman code of a histogram; 0 where the count is 0, 1 for a lone symbol."""
    lengths = np.zeros(len(counts), np.int64)
    heap = [(int(counts[s]), int(s), [int(s)]) for s in np.flatnonzero(counts)]
    heapq.heapify(heap)
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
    while len(heap) > 1:
        (a, tie, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[left + right] += 1
        heapq.heappush(heap, (a + b, tie, left + right))
    return lengths


def code_words(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The canonical code: words ascend by length, then by symbol."""
    words = np.zeros(len(lengths), np.int64)
    word = previous = 0
    for symbol in sorted(np.flatnonzero(lengths), key=lambda s: (lengths[s], s)):
        word <<= int(lengths[symbol]) - previous
        words[symbol], previous = word, int(lengths[symbol])
        word += 1
    return words
