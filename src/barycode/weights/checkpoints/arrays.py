"""Checkpoints of other programs as sources: NumPy archives, ONNX initialisers, GGUF tensors."""

import importlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from barycode.errors import CorruptFileError, InvalidInputError, MissingDataError, UnsupportedFileError
from barycode.weights.checkpoints.sources import Source
from barycode.weights.file_format.directory import MAX_ENTRIES, Directory, Entry
from barycode.weights.file_format.reader import Tensors

GGUF_TYPES = (
    "gguf.types"  # in the metadata: the types of tensors that are stored as the bytes of their blocks
)
_NUMBERS = {  # attributes of ONNX Constant nodes that are not tensors, and their types
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}
_MEMBER = ".npy"
_HEADERS = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0


class ArraySource:
    """Arrays that are read when they are asked for, each by a function of its own."""

    def __init__(
        self,
        entries: tuple[Entry, ...],
        readers: Mapping[str, Callable[[], NDArray]],
        metadata: Mapping[str, str] | None = None,
        note: str = "",
        left_out: tuple[str, ...] = (),
    ) -> None:
        self.directory = Directory(entries, dict(metadata or {}))
        self.note = note
        self.left_out = left_out
        self._readers = readers
        self._entries = {entry.name: entry for entry in entries}

    def load(self, name: str) -> Tensor:
        entry = self._entries[name]
        if not entry.size:
            return torch.empty(entry.shape, dtype=entry.dtype)
        array = np.ascontiguousarray(self._readers[name]())
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        plain = torch.from_numpy(array.reshape(-1).view(np.uint8).copy())
        return plain.view(entry.dtype).reshape(entry.shape)


def npz_source(path: Path) -> Source:
    """The arrays of a .npz file; nothing of it is unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(_MEMBER)]
            others = tuple(name for name in archive.namelist() if not name.endswith((_MEMBER, "/")))
            entries = tuple(_npy_entry(archive, member) for member in members)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        raise CorruptFileError(f"{path} is not a readable NumPy archive: {error}") from error
    readers = {entry.name: _npy_reader(path, member) for entry, member in zip(entries, members, strict=True)}
    return ArraySource(entries, readers, left_out=others)


def _npy_entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Entry:
    name = member.filename.removesuffix(_MEMBER)
    with archive.open(member) as file:
        first = np.lib.format.read_magic(file) == (1, 0)
        shape, _, dtype = (_HEADERS[0] if first else _HEADERS[1])(file)
    entries = prod(max(extent, 1) for extent in shape)
    if entries > MAX_ENTRIES or prod(shape) * dtype.itemsize > member.file_size:
        raise CorruptFileError(f"The array {name!r} of {archive.filename} lacks entries that it claims.")
    return Entry(name, tuple(shape), torch_type(dtype, name, archive.filename))


def _npy_reader(path: Path, member: zipfile.ZipInfo) -> Callable[[], NDArray]:
    def read() -> NDArray:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member) as file:
                array: NDArray = np.lib.format.read_array(file, allow_pickle=False)
        except (zipfile.BadZipFile, ValueError, EOFError) as error:
            raise CorruptFileError(f"{path} is damaged in {member.filename!r}: {error}") from error
        return array

    return read


def onnx_source(path: Path) -> Source:
    """The initialisers and constants of an ONNX model's graphs, those in files beside it included.

    Some exporters (Paddle's) have weights as the values of Constant nodes: these by what the nodes put out.
    Others (of what was scripted) have them in the branches and bodies of nodes, or in functions: a name that
    was there before gets the place that it is at in front.
    """
    onnx = _package("onnx", path)
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf and onnx raise whatever they meet
        raise CorruptFileError(f"{path} is not a readable ONNX model: {_line(error)}") from error
    if not model.HasField("graph"):  # an empty file, for one
        raise CorruptFileError(f"{path} is no ONNX model: it has no graph.")
    entries: list[Entry] = []
    readers: dict[str, Callable[[], NDArray]] = {}
    left_out = []
    for place, part in _onnx_parts(model):
        outside = set(readers)
        for name, tensor in _onnx_constants(onnx, part):
            unique = f"{place}/{name}" if name in outside else name
            if tensor is None:
                left_out.append(unique)
                continue
            kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
            entries.append(Entry(unique, tuple(tensor.dims), torch_type(kind, unique, path)))
            readers[unique] = partial(onnx.numpy_helper.to_array, tensor)
    if not entries:
        raise InvalidInputError(
            f"{path} has neither initialisers nor constants: there is nothing to compress."
        )
    note = "of an ONNX model the initialisers and constants only: keep its graph"
    return ArraySource(tuple(entries), readers, note=note, left_out=tuple(left_out))


def _onnx_parts(model: Any) -> Iterator[tuple[str, Any]]:
    """All graphs and functions of a model with their places, outer ones first."""
    waiting = [("graph", model.graph)]
    waiting += [(f"function {function.name}", function) for function in model.functions]
    for number, training in enumerate(model.training_info):
        waiting += [(f"training {number}", part) for part in (training.initialization, training.algorithm)]
    while waiting:
        place, part = waiting.pop(0)
        yield place, part
        for number, node in enumerate(part.node):
            where = f"{place}/{node.name or f'{node.op_type} {number}'}"
            for attribute in node.attribute:
                inner = [attribute.g] if attribute.HasField("g") else []
                waiting += [(f"{where}/{attribute.name}", graph) for graph in [*inner, *attribute.graphs]]


def _onnx_constants(onnx: Any, part: Any) -> Iterator[tuple[str, Any]]:
    """The names of what a graph or a function holds: each with its TensorProto, or with None where that is no
    tensor of numbers.
    """
    for tensor in getattr(part, "initializer", ()):  # functions have none
        yield tensor.name, tensor
    for sparse in getattr(part, "sparse_initializer", ()):
        yield sparse.values.name, None
    for node in part.node:
        if node.op_type == "Constant" and node.output:
            for attribute in node.attribute:
                yield node.output[0], _onnx_value(onnx, attribute)


def _onnx_value(onnx: Any, attribute: Any) -> Any:
    """The value of a Constant node as a TensorProto, or None."""
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return value
    kind = _NUMBERS.get(attribute.name)
    return None if kind is None else onnx.numpy_helper.from_array(np.asarray(value, kind))


def gguf_source(path: Path) -> Source:
    """The tensors of a GGUF file; those of quantized types as the bytes of their blocks, (rows, bytes)."""
    gguf = _package("gguf", path)
    try:
        file = gguf.GGUFReader(path)
    except Exception as error:  # the reader raises whatever it meets
        raise CorruptFileError(f"{path} is not a readable GGUF file: {_line(error)}") from error
    entries, readers, types = [], {}, {}
    for tensor in file.tensors:
        kind = tensor.tensor_type.name
        data, shape = tensor.data, tuple(int(extent) for extent in reversed(tensor.shape))
        dtype = torch.bfloat16 if kind == "BF16" else torch_type(data.dtype, tensor.name, path)
        if dtype == torch.uint8:
            shape = tuple(data.shape)
            types[tensor.name] = kind
        entries.append(Entry(tensor.name, shape, dtype))
        readers[tensor.name] = lambda data=data: np.asarray(data)
    metadata = {GGUF_TYPES: json.dumps(types)} if types else {}
    note = "of a GGUF file the tensors only: keep its fields"
    return ArraySource(tuple(entries), readers, metadata, note)


def torch_type(dtype: np.dtype, name: str, path: Any) -> torch.dtype:
    """PyTorch's type of the same name; UnsupportedFileError where there is none."""
    found = getattr(torch, dtype.name, None)
    if not isinstance(found, torch.dtype) or torch.empty(0, dtype=found).element_size() != dtype.itemsize:
        raise UnsupportedFileError(f"The array {name!r} of {path} is {dtype}, which PyTorch has no type for.")
    return found


def write_npz(stream: BinaryIO, reader: Tensors) -> int:
    """Decode a file into a NumPy archive, tensor by tensor; the number of tensors. A tied tensor is written
    for each of its names.
    """
    entries = reader.directory.entries
    names: dict[str, list[str]] = {}
    for entry in entries:
        origin = entry if entry.tied_to is None else entries[entry.tied_to]
        names.setdefault(origin.name, []).append(entry.name)
        if not _is_numpy(entry.dtype):
            raise InvalidInputError(
                f"The tensor {entry.name!r} is {entry.dtype}, which NumPy has no type for: decompress to "
                ".safetensors or .pt."
            )
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for entry, tensor in reader.tensors():
            for name in names[entry.name]:
                with archive.open(name + _MEMBER, "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, tensor.numpy(), allow_pickle=False)
    return len(entries)


def _is_numpy(dtype: torch.dtype) -> bool:
    try:
        torch.empty(0, dtype=dtype).numpy()
    except (TypeError, RuntimeError):
        return False
    return True


def _package(name: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDataError(
            f"{path} is read by the package {name}, which is not installed: pip install 'barycode[{name}]'."
        ) from error


def _line(error: Exception) -> str:
    return str(error).split("\n")[0]
