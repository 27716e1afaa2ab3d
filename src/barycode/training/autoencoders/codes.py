"""The codes of many pictures as one file, and back: what an experiment's bits are counted from."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from barycode.container import ByteReader, ByteWriter, Section, pack, unpack
from barycode.errors import CorruptFileError, InvalidInputError
from barycode.quantizers import Quantizer, SoftConvexQuantizer
from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder
from barycode.rate.votes import pack_votes, unpack_votes

KIND = "vect"
MAX_CODES = 1 << 28


def pack_codes(quantizer: Quantizer, indices: Int64[Tensor, "*shape"]) -> bytes:
    """A whole .bary file of indices: their shape, frequency tables counted on them, and the coded stream.

    Votes of sparse convex codes are coded as sets; other indices under one table a part. The codebook is not
    in the file: like the network, it belongs to the model. Raises InvalidInputError for a quantizer whose
    weights are continuous.
    """
    shape = ByteWriter()
    shape.varint(indices.ndim)
    for size in indices.shape:
        shape.varint(size)
    head = Section("SHAP", shape.finish())
    support = _support(quantizer)
    if support > 1:
        votes = indices.reshape(-1, indices.shape[-1]).numpy()
        return pack(KIND, [head, Section("VOTE", pack_votes(votes, quantizer.codebook_size, support))])
    symbols = indices.reshape(-1, _parts(quantizer)).numpy()
    histograms = [np.bincount(part, minlength=quantizer.codebook_size) for part in symbols.T]
    tables = FrequencyTables.from_counts(np.stack(histograms))
    encoder = SymbolEncoder()
    encoder.encode(symbols.ravel(), tables, _rows(len(symbols), symbols.shape[1]))
    return pack(KIND, [head, Section("TABL", tables.to_bytes()), Section("CODE", encoder.finish())])


def unpack_codes(quantizer: Quantizer, data: bytes) -> Int64[Tensor, "*shape"]:
    """The indices of a file that `pack_codes` wrote for this kind of quantizer; CorruptFileError if not."""
    container = unpack(data)
    shape = _read_shape(container.one("SHAP"))
    if _support(quantizer) > 1:
        values = unpack_votes(container.one("VOTE"))[1]
    else:
        tables = FrequencyTables.from_bytes(container.one("TABL"))
        decoder = SymbolDecoder(container.one("CODE"))
        values = decoder.decode(tables, _rows(prod(shape) // len(tables), len(tables))).astype(np.int64)
        decoder.finish()
    if values.size != prod(shape):
        raise CorruptFileError(f"The file holds {values.size} codes where {shape} were announced.")
    return torch.from_numpy(values.astype(np.int64)).reshape(shape)


def _support(quantizer: Quantizer) -> int:
    """How many code vectors a code may mix."""
    if not isinstance(quantizer, SoftConvexQuantizer):
        return 1
    if quantizer.code is None:
        raise InvalidInputError("Continuous convex weights fit in no file: give the quantizer a SparseCode.")
    return quantizer.code.support


def _parts(quantizer: Quantizer) -> int:
    return max(1, len(quantizer.codebooks))


def _rows(vectors: int, parts: int) -> np.ndarray:
    """The table of each symbol: that of its part."""
    return np.tile(np.arange(parts), vectors)


def _read_shape(payload: bytes) -> tuple[int, ...]:
    reader = ByteReader(payload, "The shape")
    shape = tuple(reader.varint() for _ in range(reader.varint()))
    reader.finish()
    if prod(shape) > MAX_CODES:
        raise CorruptFileError(f"The file announces {shape} codes: more than {MAX_CODES}.")
    return shape
