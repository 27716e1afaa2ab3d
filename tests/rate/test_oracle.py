"""A decoder written from docs/format.md alone, and literal bytes: a dependency cannot change the format."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder

MASK = 2**64 - 1


class SpecifiedDecoder:
    """The range decoder and the integer codes of the specification, a symbol at a time in Python integers."""

    def __init__(self, data: bytes) -> None:
        padded = data + bytes(-len(data) % 4)
        self._words = (int.from_bytes(padded[i : i + 4], "big") for i in range(0, len(padded), 4))
        self._lower, self._range = 0, MASK
        self._point = self._word() << 32 | self._word()

    def symbol(self, counts: Iterable[int]) -> int:
        scale = self._range >> 24
        quantile = (self._point - self._lower & MASK) // scale
        start = 0
        for symbol, count in enumerate(counts):
            if quantile < start + count:
                self._narrow(scale, start, count)
                return symbol
            start += count
        raise AssertionError("beyond the table")

    def uniform(self, bits: int) -> int:
        low = min(bits, 16)
        value = self.symbol([2 ** (24 - low)] * 2**low) if bits else 0
        return value | self.uniform(bits - 16) << 16 if bits > 16 else value

    def array(self, tables: list[list[int]], rows: list[int]) -> list[int]:
        found = {
            place: self.symbol(tables[rows[place]])
            for place in sorted(range(len(rows)), key=rows.__getitem__)
        }
        return [found[place] for place in range(len(rows))]

    def signed(self, tables: list[list[int]], rows: list[int]) -> list[int]:
        limit = len(tables[0]) // 2
        values = [symbol - limit for symbol in self.array(tables, rows)]
        escaped = [place for place, value in enumerate(values) if abs(value) == limit]
        for place, excess in zip(escaped, self.naturals(len(escaped)), strict=True):
            values[place] += excess if values[place] > 0 else -excess
        return values

    def naturals(self, count: int) -> list[int]:
        table = [2 ** max(23 - n, 0) for n in range(31)]
        table[0] += 2**24 - sum(table)
        lengths = [self.symbol(table) for _ in range(count)]
        found = [0] * count
        for length in sorted(set(lengths) - {0}):
            parts = self._low_parts([place for place in range(count) if lengths[place] == length], length)
            for place, value in parts:
                found[place] = value + 2**length - 1
        return found

    def _low_parts(self, places: list[int], bits: int) -> Iterator[tuple[int, int]]:
        low = [self.uniform(min(bits, 16)) for _ in places]
        high = [self.uniform(bits - 16) for _ in places] if bits > 16 else [0] * len(places)
        return zip(places, (a | b << 16 for a, b in zip(low, high, strict=True)), strict=True)

    def _narrow(self, scale: int, start: int, count: int) -> None:
        self._lower = self._lower + scale * start & MASK
        self._range = scale * count
        if self._range < 2**32:
            self._lower, self._range = self._lower << 32 & MASK, self._range << 32
            self._point = (self._point << 32 | self._word()) & MASK

    def _word(self) -> int:
        return next(self._words, 0)


def random_tables(seed: int, tables: int, symbols: int) -> FrequencyTables:
    histogram = np.random.default_rng(seed).exponential(1, (tables, symbols)) ** 6
    return FrequencyTables.from_counts(histogram)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (40, 30), (900, 3), (900, 200)])
def test_the_specified_decoder_reads_symbols(count: int, rows: int) -> None:
    rng = np.random.default_rng(count + rows)
    tables = random_tables(rows, rows, 9)
    chosen, symbols = rng.integers(0, rows, count), rng.integers(0, 9, count)
    coder = SymbolEncoder()
    coder.encode(symbols, tables, chosen)
    reader = SpecifiedDecoder(coder.finish())
    assert reader.array(tables.counts.tolist(), chosen.tolist()) == symbols.tolist()


def test_the_specified_decoder_reads_escapes_and_later_calls() -> None:
    rng = np.random.default_rng(5)
    tables = random_tables(5, 4, 7)
    values = np.concatenate([rng.integers(-9, 10, 300), [2**30, -(2**30), 2**17 + 2, 3, -3, 4]])
    rows = rng.integers(0, 4, values.size)
    coder = SymbolEncoder()
    coder.encode_signed(values, tables, rows)
    coder.encode_uniform([5, 0, 7], 3)
    coder.encode_uniform([2**16 - 1], 16)
    reader = SpecifiedDecoder(coder.finish())
    assert reader.signed(tables.counts.tolist(), rows.tolist()) == values.tolist()
    assert [reader.uniform(3) for _ in range(3)] == [5, 0, 7]
    assert reader.uniform(16) == 2**16 - 1


def test_the_most_lopsided_tables_are_exact() -> None:
    """One symbol with nearly all of the probability, in each place: where a rounding would show first."""
    counts = np.ones((65, 65), np.int32) + np.eye(65, dtype=np.int32) * (2**24 - 65)
    tables = FrequencyTables(counts)
    rows, symbols = np.divmod(np.arange(65 * 65), 65)
    coder = SymbolEncoder()
    coder.encode(symbols, tables, rows)
    reader = SpecifiedDecoder(coder.finish())
    assert reader.array(counts.tolist(), rows.tolist()) == symbols.tolist()


GOLDEN_TABLES = [[2**23, 2**22, 2**22], [1, 2**24 - 2, 1], [3, 2**24 - 1000, 997]]
GOLDEN_ROWS = [0, 2, 1, 0, 0, 1, 2, 0]
GOLDEN_VALUES = [0, -1, 0, 5, 0, 0, 1, -70000]
GOLDEN_BYTES = bytes.fromhex("b8000009fd321e7c8ff15d54")


def test_golden_bytes() -> None:
    tables = FrequencyTables(np.array(GOLDEN_TABLES, np.int32))
    coder = SymbolEncoder()
    coder.encode_signed(GOLDEN_VALUES, tables, GOLDEN_ROWS)
    coder.encode_uniform([1, 2, 3], 2)
    assert coder.finish() == GOLDEN_BYTES
    decoder = SymbolDecoder(GOLDEN_BYTES)
    assert decoder.decode_signed(tables, GOLDEN_ROWS).tolist() == GOLDEN_VALUES
    assert decoder.decode_uniform(3, 2).tolist() == [1, 2, 3]
    decoder.finish()
