"""The range coder in machine code beside constriction's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import CorruptFileError
from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder
from barycode.rate.compiled_range_coder import FEWEST, CompiledRangeDecoder, CompiledRangeEncoder
from barycode.rate.range_coder import RangeDecoder, RangeEncoder
from barycode.rate.tables import TOTAL

ENCODERS = RangeEncoder, CompiledRangeEncoder
DECODERS = RangeDecoder, CompiledRangeDecoder


@st.composite
def calls(draw: st.DrawFn) -> list[tuple]:
    """Tables, rows and signed values, or integers of so many bits; with rows as skewed as can be."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found: list[tuple] = []
    for _ in range(draw(st.integers(0, 6))):
        count = draw(st.integers(0, 40) | st.just(700))
        if draw(st.booleans()):
            bits = draw(st.integers(0, 32))
            found.append((rng.integers(0, 2**bits, count), bits))
            continue
        histograms = rng.exponential(1, (5, 7)) ** draw(st.sampled_from([1, 8, 40]))
        tables, rows = FrequencyTables.from_counts(histograms), rng.integers(0, 5, count)
        likely = np.array([rng.choice(7, p=tables.counts[row] / TOTAL) for row in rows], np.int64) - 3
        values = likely if draw(st.booleans()) else rng.integers(-4, 5, count)
        escapes = rng.random(count) < draw(st.sampled_from([0, 0.1]))
        values = np.where(escapes, rng.integers(-(2**30), 2**30 + 1, count), values)
        found.append((tables, rows, values))
    return found


def encoded(of: list[tuple], coder: RangeEncoder | CompiledRangeEncoder) -> bytes:
    encoder = SymbolEncoder(coder)
    for call in of:
        if len(call) == 2:
            encoder.encode_uniform(*call)
        else:
            encoder.encode_signed(call[2], call[0], call[1])
    return encoder.finish()


def decoded(of: list[tuple], data: bytes, kind: type) -> list | None:
    """What is read in the same calls; None where the data are refused."""
    try:
        decoder = SymbolDecoder(data, coder=kind(data))
        found = [
            decoder.decode_uniform(len(call[0]), call[1])
            if len(call) == 2
            else decoder.decode_signed(call[0], call[1])
            for call in of
        ]
        decoder.finish()
    except CorruptFileError:
        return None
    return [each.tolist() for each in found]


@settings(deadline=None)
@given(calls())
def test_both_write_the_same_bytes_and_read_them(of):
    data = [encoded(of, kind()) for kind in ENCODERS]
    assert data[0] == data[1]
    expected = [call[0 if len(call) == 2 else 2].tolist() for call in of]
    assert [decoded(of, data[0], kind) for kind in DECODERS] == [expected] * 2


@settings(max_examples=150, deadline=None)
@given(calls(), st.binary(max_size=24), st.integers(0, 10), st.integers(0, 255))
def test_both_refuse_the_same_data_and_read_the_same_from_others(of, random, place, mask):
    data = bytearray(encoded(of, RangeEncoder()))
    data[place : place + 1] = bytes(byte ^ mask for byte in data[place : place + 1])
    for other in (bytes(data), bytes(data[:place]), bytes(data) + b"\1", random):
        assert decoded(of, other, RangeDecoder) == decoded(of, other, CompiledRangeDecoder)


@pytest.mark.parametrize("likely", [0, 1])
def test_what_is_carried_goes_through_many_words(likely):
    """The last symbols of rows that own nearly everything leave the lower end just below a carry for long."""
    counts = np.array([[1, TOTAL - 1], [TOTAL - 1, 1]], np.int32)
    rows = np.full(30000, likely)
    symbols = np.full(30000, 1 - likely)
    symbols[-1] = likely
    of = SymbolEncoder(RangeEncoder()), SymbolEncoder(CompiledRangeEncoder())
    for coder in of:
        coder.encode_uniform(np.full(4 * FEWEST, 2**16 - 1), 16)
        coder.encode(symbols, FrequencyTables(counts), rows)
    assert of[0].finish() == of[1].finish()
