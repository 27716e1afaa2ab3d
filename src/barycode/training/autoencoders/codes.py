"""The codes of many pictures as one file, and back: what an experiment's bits are counted from."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from barycode.container import ByteReader, ByteWriter, Section, least_bytes, pack, require_within, unpack
from barycode.errors import CorruptFileError, InvalidInputError
from barycode.plain_torch import plain_torch
from barycode.quantizers import Quantizer, SoftConvexQuantizer
from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder
from barycode.rate.multisets import pack_multisets, unpack_multisets

KIND = "vect"
MAX_CODES = 1 << 28
CODES_PER_BYTE = 1 << 10  # that a byte of a file stands for at most
LARGEST_TABLE = 4096  # symbols; a larger grid is coded by the digits of its indices, its coordinates
DIGIT_BITS = 3
DIGIT = 1 << DIGIT_BITS


@plain_torch()
def pack_codes(quantizer: Quantizer, indices: Int64[Tensor, "*shape"]) -> bytes:
    """A whole .bary file of indices: their shape, frequency tables, and the coded stream.

    The tables are counted on the indices or, where these are too few to pay for them, flat. Those of sparse
    convex codes are coded as multisets; others under one table a part. The codebook is not in the file:
    like the network, it belongs to the model. Raises InvalidInputError for a quantizer whose weights are
    continuous.
    """
    shape = ByteWriter()
    shape.varint(indices.ndim)
    for size in indices.shape:
        shape.varint(size)
    head = Section("SHAP", shape.finish())
    support = _support(quantizer)
    if support > 1:
        rows = indices.reshape(-1, indices.shape[-1]).numpy()
        return pack(KIND, [head, Section("MSET", pack_multisets(rows, quantizer.codebook_size, support))])
    symbols = _split(quantizer, indices).numpy()
    histograms = [np.bincount(part, minlength=max(2, symbols.max() + 1)) for part in symbols.T]
    counted = np.stack(histograms)
    files = []
    for counts in (counted, np.ones_like(counted)):
        tables, encoder = FrequencyTables.from_counts(counts), SymbolEncoder()
        encoder.encode(symbols.ravel(), tables, _rows(len(symbols), symbols.shape[1]))
        stream = Section("CODE", encoder.finish(_least(indices.numel())))
        files.append(pack(KIND, [head, Section("TABL", tables.to_bytes()), stream]))
    return min(files, key=len)


@plain_torch()
def unpack_codes(quantizer: Quantizer, data: bytes, limit: int | None = None) -> Int64[Tensor, "*shape"]:
    """The indices of a file that `pack_codes` wrote for this kind of quantizer; CorruptFileError if not.

    LimitError where they take more than `limit` bytes, 8 an index.
    """
    container = unpack(data)
    container.require_layout("SHAP MSET" if _support(quantizer) > 1 else "SHAP TABL CODE")
    shape = _read_shape(container.one("SHAP"))
    require_within(limit, 8 * prod(shape), "The file")
    if _support(quantizer) > 1:
        values = unpack_multisets(container.one("MSET"), limit)[1]
    else:
        tables = FrequencyTables.from_bytes(container.one("TABL"))
        decoder = SymbolDecoder(container.one("CODE"), _least(prod(shape)))
        rows = _rows(_vectors(quantizer, shape), len(tables))
        values = _join(quantizer, torch.from_numpy(decoder.decode(tables, rows).astype(np.int64))).numpy()
        decoder.finish()
    if values.size != prod(shape):
        raise CorruptFileError(f"The file holds {values.size} codes where {shape} were announced.")
    return torch.from_numpy(values.astype(np.int64)).reshape(shape)


def _least(codes: int) -> int:
    return least_bytes(codes, CODES_PER_BYTE)


def _support(quantizer: Quantizer) -> int:
    """How many code vectors a code may mix."""
    if not isinstance(quantizer, SoftConvexQuantizer):
        return 1
    if quantizer.code is None:
        raise InvalidInputError("Continuous convex weights fit in no file: give the quantizer a SparseCode.")
    return quantizer.code.support


def _split(quantizer: Quantizer, indices: Tensor) -> Tensor:
    """Symbols (n, parts): stages, groups, or the digits of a grid too large for one table."""
    if _by_digits(quantizer):
        places = _places(quantizer)
        return indices.reshape(-1, 1) // places % DIGIT
    return indices.reshape(-1, max(1, len(quantizer.codebooks)))


def _join(quantizer: Quantizer, symbols: Tensor) -> Tensor:
    """The indices of the symbols in one line."""
    if not _by_digits(quantizer):
        return symbols
    places = _places(quantizer)
    return (symbols.reshape(-1, len(places)) * places).sum(1)


def _by_digits(quantizer: Quantizer) -> bool:
    return not quantizer.codebooks and quantizer.codebook_size > LARGEST_TABLE


def _places(quantizer: Quantizer) -> Tensor:
    """What each digit is worth, the lowest first."""
    count = -(-(quantizer.codebook_size - 1).bit_length() // DIGIT_BITS)
    return DIGIT ** torch.arange(count)


def _vectors(quantizer: Quantizer, shape: tuple[int, ...]) -> int:
    return prod(shape) if _by_digits(quantizer) else prod(shape) // max(1, len(quantizer.codebooks))


def _rows(vectors: int, parts: int) -> np.ndarray:
    """The table of each symbol: that of its part."""
    return np.tile(np.arange(parts), vectors)


def _read_shape(payload: bytes) -> tuple[int, ...]:
    reader = ByteReader(payload, "The shape")
    shape = tuple(reader.varint() for _ in range(reader.varint()))
    reader.finish()
    if prod(max(size, 1) for size in shape) > MAX_CODES:  # of no codes, too, the extents fit
        raise CorruptFileError(f"The file announces {shape} codes: more than {MAX_CODES}.")
    return shape
