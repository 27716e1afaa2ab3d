"""Codes to the entropy coder and back, under what is predicted of them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from barycode.images.prediction import Classes
from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder


def write_codes(coder: SymbolEncoder, tables: FrequencyTables, classes: Classes, codes: Tensor) -> None:
    """Append integer codes: their upper parts under the tables, then the low bits of those that have any."""
    high, rest = classes.split(classes.symbols(codes.int()))
    coder.encode_signed(high.numpy().ravel(), tables, classes.row.numpy().ravel())
    low = rest.numpy().ravel()
    for bits, places in _with_low_bits(classes):
        coder.encode_uniform(low[places], bits)


def read_codes(decoder: SymbolDecoder, tables: FrequencyTables, classes: Classes) -> Tensor:
    """The codes that `write_codes` appended, float, of the shape of the classes."""
    high = decoder.decode_signed(tables, classes.row.numpy().ravel())
    low = np.zeros_like(high)
    for bits, places in _with_low_bits(classes):
        low[places] = decoder.decode_uniform(places.size, bits)
    shape = classes.row.shape
    symbols = classes.join(torch.from_numpy(high).view(shape), torch.from_numpy(low).view(shape))
    return classes.codes(symbols).float()


def _with_low_bits(classes: Classes) -> Iterator[tuple[int, np.ndarray]]:
    low = classes.low.numpy().ravel()
    for bits in np.unique(low[low > 0]).tolist():
        yield bits, np.flatnonzero(low == bits)
