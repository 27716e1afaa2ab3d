"""One walk for encoder and decoder: the codecs are written once, against an `Exchange`.

Whoever walks hands over the symbols it has, or None where it reads them; it gets the symbols back either way.
"""

from importlib import import_module
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder
from barycode.weights import compiled
from barycode.weights.entropy_coding.adaptive_tables import AdaptiveTables
from barycode.weights.entropy_coding.code_lanes import CodeLanes, walk

Integers = NDArray[np.int32]
Costs = NDArray[np.float32]


class Exchange(Protocol):
    """A place to put symbols into or to get them from."""

    def symbols(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers: ...

    def signed(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers: ...

    def uniform(self, count: int, bits: int, values: NDArray | None) -> NDArray[np.int64]: ...

    def lanes(
        self, tables: AdaptiveTables, lanes: CodeLanes, high: Integers | None, bits: Costs | None
    ) -> Integers:
        """Codes or points (TIME, lanes) from their high bits; the tables learn, `bits` are told the costs."""
        ...


class Writing:
    """Appends what it is given to a SymbolEncoder."""

    def __init__(self, encoder: SymbolEncoder) -> None:
        self._encoder = encoder

    def symbols(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers:
        assert values is not None
        self._encoder.encode(values, tables, rows)
        return values

    def signed(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers:
        assert values is not None
        self._encoder.encode_signed(values, tables, rows)
        return values

    def uniform(self, count: int, bits: int, values: NDArray | None) -> NDArray[np.int64]:
        assert values is not None
        self._encoder.encode_uniform(values, bits)
        return values.astype(np.int64)

    def lanes(
        self, tables: AdaptiveTables, lanes: CodeLanes, high: Integers | None, bits: Costs | None
    ) -> Integers:
        return walk(self, tables, lanes, high, bits)

    def finish(self) -> bytes:
        """The bytes of everything so far."""
        return self._encoder.finish()


class Reading:
    """Ignores what it is given and reads from a SymbolDecoder."""

    def __init__(self, decoder: SymbolDecoder) -> None:
        self._decoder = decoder

    def symbols(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers:
        return self._decoder.decode(tables, rows)

    def signed(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers:
        return self._decoder.decode_signed(tables, rows)

    def uniform(self, count: int, bits: int, values: NDArray | None) -> NDArray[np.int64]:
        return self._decoder.decode_uniform(count, bits)

    def lanes(
        self, tables: AdaptiveTables, lanes: CodeLanes, high: Integers | None, bits: Costs | None
    ) -> Integers:
        return walk(self, tables, lanes, None, bits)

    def finish(self) -> None:
        """Raise CorruptFileError unless the data end here as an encoder ends them."""
        self._decoder.finish()


def writing(entries: int) -> Writing:
    """For a part of so many entries."""
    if compiled.applies(entries):
        return cast(Writing, import_module("barycode.weights.compiled.codes").CompiledWriting())
    return Writing(SymbolEncoder())


def reading(data: bytes, entries: int) -> Reading:
    """For a part of so many entries."""
    if compiled.applies(entries):
        return cast(Reading, import_module("barycode.weights.compiled.codes").CompiledReading(data))
    return Reading(SymbolDecoder(data))
