"""One walk for encoder and decoder: the codecs are written once, against an `Exchange`.

Whoever walks hands over the symbols it has, or None where it reads them; it gets the symbols back either way.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder

Integers = NDArray[np.int32]


class Exchange(Protocol):
    """A place to put symbols into or to get them from."""

    def symbols(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers: ...

    def signed(self, tables: FrequencyTables, rows: NDArray, values: Integers | None) -> Integers: ...

    def uniform(self, count: int, bits: int, values: NDArray | None) -> NDArray[np.int64]: ...


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
