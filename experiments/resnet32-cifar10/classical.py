"""Files of the classical ladder: codes of all weights with Huffman or arithmetic coding, sparse or not.

A file holds the vectors (normalisation, bias) as the network codec writes them, and then the
weights of all matrices in one sequence.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from huffman import huffman_bytes, read_huffman
from network import ResNet32
from numpy.typing import NDArray
from torch import Tensor

from barycode.container import ByteReader, ByteWriter
from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder
from barycode.weights import Keep, Quantize, Rule, Step, compress, decompress

VECTOR_RULES = (
    Rule("*.running_*", Keep(), "folded: zeros and ones"),
    Rule("*", Quantize(), "normalisation and bias"),
)
VECTOR_STEP = 0.01


@dataclass(frozen=True)
class Coded:
    """All matrices of a network, one after the other: weights = centers[codes]."""

    codes: NDArray[np.int64]
    centers: NDArray[np.float32]

    @property
    def zero(self) -> int:
        """The code of the center at zero."""
        return int(np.abs(self.centers).argmin())


def matrices_of(state: Mapping[str, Tensor]) -> NDArray[np.float32]:
    """The entries of all tensors of two dimensions or more, in order."""
    return np.concatenate([t.detach().numpy().ravel() for t in state.values() if t.ndim > 1])


def huffman_file(state: Mapping[str, Tensor], coded: Coded) -> bytes:
    return _file(state, coded.centers, huffman_bytes(coded.codes))


def sparse_huffman_file(state: Mapping[str, Tensor], coded: Coded) -> bytes:
    """Gaps between the weights that are not zero, and their codes, each under a Huffman code."""
    places = np.flatnonzero(coded.codes != coded.zero)
    return _file(
        state, coded.centers, huffman_bytes(np.diff(places, prepend=-1)) + huffman_bytes(coded.codes[places])
    )


def sparse_float_file(state: Mapping[str, Tensor]) -> bytes:
    """Gaps under a Huffman code; the weights that are not zero as they are."""
    weights = matrices_of(state)
    places = np.flatnonzero(weights)
    return _file(state, weights[places], huffman_bytes(np.diff(places, prepend=-1)))


def arithmetic_file(state: Mapping[str, Tensor], coded: Coded) -> bytes:
    """All codes under one static table."""
    tables = FrequencyTables.from_counts(np.bincount(coded.codes, minlength=len(coded.centers))[None])
    encoder = SymbolEncoder()
    encoder.encode(coded.codes, tables, np.zeros_like(coded.codes))
    writer = ByteWriter()
    for part in (tables.to_bytes(), encoder.finish()):
        writer.varint(len(part))
        writer.raw(part)
    return _file(state, coded.centers, writer.finish())


def read_huffman_file(data: bytes) -> ResNet32:
    network, centers, reader = _open(data)
    return _filled(network, centers[read_huffman(reader)])


def read_sparse_huffman_file(data: bytes) -> ResNet32:
    network, centers, reader = _open(data)
    places = np.cumsum(read_huffman(reader)) - 1
    return _filled(network, _scattered(network, places, centers[read_huffman(reader)]))


def read_sparse_float_file(data: bytes) -> ResNet32:
    network, values, reader = _open(data)
    return _filled(network, _scattered(network, np.cumsum(read_huffman(reader)) - 1, values))


def read_arithmetic_file(data: bytes) -> ResNet32:
    network, centers, reader = _open(data)
    tables = FrequencyTables.from_bytes(reader.raw(reader.varint()))
    codes = SymbolDecoder(reader.raw(reader.varint())).decode(tables, np.zeros(_entries(network), np.int64))
    return _filled(network, centers[codes])


def _file(state: Mapping[str, Tensor], table: NDArray[np.float32], codes: bytes) -> bytes:
    vectors = {name: tensor for name, tensor in state.items() if tensor.ndim == 1}
    writer = ByteWriter()
    for part in (compress(vectors, Step(VECTOR_STEP), rules=VECTOR_RULES), table.astype("<f4").tobytes()):
        writer.varint(len(part))
        writer.raw(part)
    writer.raw(codes)
    return writer.finish()


def _open(data: bytes) -> tuple[ResNet32, NDArray[np.float32], ByteReader]:
    reader = ByteReader(data, "A row of the ladder")
    network = ResNet32()
    network.load_state_dict(decompress(reader.raw(reader.varint())), strict=False)
    return network, np.frombuffer(reader.raw(reader.varint()), "<f4").astype(np.float32), reader


def _entries(network: ResNet32) -> int:
    return sum(t.numel() for t in network.state_dict().values() if t.ndim > 1)


def _scattered(network: ResNet32, places: NDArray, values: NDArray) -> NDArray[np.float32]:
    weights = np.zeros(_entries(network), np.float32)
    weights[places] = values
    return weights


def _filled(network: ResNet32, weights: NDArray[np.float32]) -> ResNet32:
    matrices = [tensor for tensor in network.state_dict().values() if tensor.ndim > 1]
    parts = torch.from_numpy(weights).split([tensor.numel() for tensor in matrices])
    for tensor, part in zip(matrices, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))
    return network.eval().to(memory_format=torch.channels_last)
