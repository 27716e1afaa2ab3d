"""Checkpoints on disk: read one tensor at a time, written at their places while a file is decoded."""

import json
import struct
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from barycode.errors import CorruptFileError, InvalidInputError, UnsupportedFileError
from barycode.weights.checkpoints.arrays import gguf_source, npz_source, onnx_source
from barycode.weights.checkpoints.sources import Joined, Source, StateDict
from barycode.weights.file_format.directory import MAX_ENTRIES, Directory, Entry
from barycode.weights.file_format.number_formats import element_bytes, to_bits
from barycode.weights.file_format.reader import Tensors

PYTORCH = frozenset({".pt", ".pth", ".bin", ".ckpt"})
USUAL_KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "params", "weights")
SHARDS = PYTORCH | {".safetensors"}
MAX_EXPANSION = 2**10  # bytes of a tensor that a byte of its storage may stand for
INDEX = ".index.json"
MOST_NAMED = 8
_SAFETENSORS = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "U16": "uint16", "I32": "int32",
    "U32": "uint32", "I64": "int64", "U64": "uint64", "F16": "float16", "BF16": "bfloat16", "F32": "float32",
    "F64": "float64", "C64": "complex64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu",
    "F4": "float4_e2m1fn_x2",
}  # fmt: skip
_DTYPES = {name: getattr(torch, dtype) for name, dtype in _SAFETENSORS.items() if hasattr(torch, dtype)}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_IN_PAIRS = frozenset({"F4"})  # two numbers a byte: an entry of PyTorch's type holds both


_OTHERS = {".npz": npz_source, ".onnx": onnx_source, ".gguf": gguf_source}


def open_source(path: str | Path, suffix: str = "", key: str | None = None) -> Source:
    """The tensors of a .safetensors file, a sharded checkpoint (its .index.json), a PyTorch state dict, a
    NumPy archive, an ONNX model's initialisers and constants, a GGUF file.

    `suffix` says which, where the name does not; `key` says where in a PyTorch file the state dict is, keys
    of nested ones joined by dots.
    PyTorch files are read with `weights_only=True`: tensors, nothing that could run. Raises CorruptFileError
    and UnsupportedFileError.
    """
    file = Path(path)
    kind = suffix or file.suffix.lower()
    if key is not None and kind not in PYTORCH:
        raise InvalidInputError(f"{path} has no nested state dicts: a key goes with PyTorch's files.")
    if file.name.endswith(INDEX):
        return _sharded(file)
    if kind == ".json":
        raise UnsupportedFileError(
            f"{path} is no checkpoint: the index of a sharded one is called like model.safetensors{INDEX}."
        )
    if kind == ".safetensors":
        return SafetensorsSource(file)
    return _OTHERS[kind](file) if kind in _OTHERS else _torch_file(file, key)


class SafetensorsSource:
    """A safetensors file; tensors are read when they are asked for.

    Read, not mapped: pages of a mapped file stay in memory with those of all tensors before.
    """

    left_out: tuple[str, ...] = ()
    note = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            file = safe_open(path, framework="pt")
            self._offsets, metadata = _described(path)
            entries = tuple(_entry(path, file, name) for name in file.offset_keys())
        except (SafetensorError, OSError) as error:
            raise CorruptFileError(f"{path} is not a readable safetensors file: {error}") from error
        self.directory = Directory(entries, metadata)
        self._entries = {entry.name: entry for entry in entries}

    def load(self, name: str) -> Tensor:
        entry = self._entries[name]
        if not entry.size:
            return torch.empty(entry.shape, dtype=entry.dtype)
        data = bytearray(entry.size * element_bytes(entry.dtype))
        with self._path.open("rb") as file:
            file.seek(self._offsets[name])
            if file.readinto(data) < len(data):
                raise CorruptFileError(f"{self._path} has become shorter since it was opened.")
        return torch.frombuffer(data, dtype=entry.dtype).reshape(entry.shape)


def _entry(path: Path, file: Any, name: str) -> Entry:
    part = file.get_slice(name)
    kind, shape = part.get_dtype(), tuple(part.get_shape())
    if kind not in _DTYPES:
        raise UnsupportedFileError(
            f"The tensor {name!r} of {path} has the type {kind}, which this PyTorch does not know: "
            "store its bytes as a tensor of uint8."
        )
    if kind in _IN_PAIRS:
        if not shape or shape[-1] % 2:
            raise UnsupportedFileError(f"The tensor {name!r} of {path} has half a pair of {kind} in a row.")
        shape = (*shape[:-1], shape[-1] // 2)
    if prod(max(extent, 1) for extent in shape) > MAX_ENTRIES:
        raise CorruptFileError(f"The tensor {name!r} of {path} claims the shape {shape}: expected less.")
    return Entry(name, shape, _DTYPES[kind])


def _described(path: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Where each tensor of a file that safetensors accepts starts, and its metadata in the file's order.

    (safe_open gives them in an order that changes from run to run.)
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", None) or {}
    return {name: 8 + length + described["data_offsets"][0] for name, described in header.items()}, metadata


def _sharded(index: Path) -> Source:
    """The shards of an index, each of which has to hold what the index says."""
    try:
        places = json.loads(index.read_text())["weight_map"]
        files = sorted(set(places.values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptFileError(
            f"{index} is not the index of a sharded checkpoint (no weight_map)."
        ) from error
    if not places:
        raise CorruptFileError(f"{index} names no tensors: the checkpoint is not complete.")
    if not all(isinstance(file, str) and Path(file).name == file for file in files):
        raise CorruptFileError(f"{index} names shards outside its folder.")
    source = Joined({file: _shard(index.parent / file) for file in files})
    wrong = [name for name, file in places.items() if source.part_of(name) != file]
    if wrong:
        raise CorruptFileError(
            f"{index} says that {places[wrong[0]]} holds the tensor {wrong[0]!r}, which it does not"
            f"{f' (and {len(wrong) - 1} others)' if wrong[1:] else ''}: the checkpoint is not complete."
        )
    return source


def _shard(path: Path) -> Source:
    if not path.is_file():
        raise CorruptFileError(f"{path}, which an index names, is not there: the checkpoint is not complete.")
    if path.suffix.lower() not in SHARDS:
        raise UnsupportedFileError(
            f"{path} is no shard of a kind that is read ({', '.join(sorted(SHARDS))})."
        )
    return open_source(path)


def _torch_file(path: Path, key: str | None = None) -> Source:
    content = _unpickled(path)
    if key is not None:
        content = _nested(content, key, path)
    found, left_out = state_dict_of(content, path)
    _refuse_expanded(found, path)
    source = StateDict(found)
    source.left_out = left_out
    return source


def _unpickled(path: Path) -> Any:
    """What a PyTorch file holds: mapped into memory or, where it is of the old kind, read."""
    try:
        zipped = zipfile.is_zipfile(path)
        if zipped and _is_program(path):
            raise UnsupportedFileError(
                f"{path} is a TorchScript program: save torch.jit.load(path).state_dict(), and that."
            )
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (FileNotFoundError, UnsupportedFileError):
        raise
    except Exception as error:  # PyTorch raises whatever its unpickler meets
        raise UnsupportedFileError(
            f"{path} does not load as plain tensors (weights_only=True): save model.state_dict(), "
            "and nothing that would have to run code."
        ) from error


def _is_program(path: Path) -> bool:
    """Whether an archive holds code beside its tensors."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def state_dict_of(content: Any, path: Path) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
    """The state dict of what a checkpoint holds, and the names of what is not in it.

    It is the mapping itself, `state_dict`, `model`, ... in it, or the only mapping of tensors that there is.
    """
    if _is_state_dict(content):
        return content, ()
    if not isinstance(content, Mapping):
        raise UnsupportedFileError(
            f"{path} is not a state dict of names and tensors: save model.state_dict()."
        )
    inside = [key for key, value in content.items() if _is_state_dict(value) and value]
    named = [key for key in USUAL_KEYS if key in inside]
    chosen = named[:1] or (inside if len(inside) == 1 else [])
    if chosen:
        return content[chosen[0]], tuple(str(key) for key in content if key != chosen[0])
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        return tensors, tuple(str(key) for key in content if key not in tensors)
    several = f"several state dicts ({', '.join(map(str, inside))})" if inside else "no state dict"
    raise UnsupportedFileError(
        f"{path} has {several}: say which by its key (--key, dots for nested ones), or save it by itself."
    )


def _nested(content: Any, key: str, path: Path) -> Any:
    """What is under a key, or under several that are joined by dots."""
    if isinstance(content, Mapping):
        if key in content:
            return content[key]
        fitting = [first for first in content if isinstance(first, str) and key.startswith(first + ".")]
        for first in fitting:
            return _nested(content[first], key.removeprefix(first + "."), path)
        known = ", ".join(sorted(map(str, content))[:MOST_NAMED]) or "nothing"
        raise InvalidInputError(f"{path} has nothing under {key!r}: there is {known}.")
    raise InvalidInputError(f"{path} has no state dict under {key!r}.")


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(v, Tensor) for v in value.values())


def _refuse_expanded(tensors: Mapping[str, Tensor], path: Path) -> None:
    """No file costs much more than it has: a tensor of a file has memory for its entries."""
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            continue
        stored = tensor.untyped_storage().nbytes()
        if tensor.nbytes > MAX_EXPANSION * max(stored, 1):
            raise InvalidInputError(
                f"The tensor {str(name)!r} of {path} has {tensor.nbytes:,} bytes in a storage of {stored:,} "
                "(expanded): save it contiguous, if it is meant."
            )


def write_safetensors(stream: BinaryIO, reader: Tensors) -> int:
    """Decode a file into a safetensors file, tensor by tensor; the number of tensors.

    Wide numbers come first, so that all are aligned; a tied tensor is written for each of its names.
    """
    entries = reader.directory.entries
    header, start, places = _layout(reader.directory)
    stream.write(struct.pack("<Q", len(header)) + header)
    aliases: dict[str, list[str]] = {}
    for entry in entries:
        origin = entry.name if entry.tied_to is None else entries[entry.tied_to].name
        aliases.setdefault(origin, []).append(entry.name)
    for block, tensor in reader.blocks():
        data = to_bits(tensor).tobytes()
        for name in aliases[block.entry.name]:
            stream.seek(start + places[name] + block.start * block.row_bytes)
            stream.write(data)
    return len(entries)


def _layout(directory: Directory) -> tuple[bytes, int, dict[str, int]]:
    """The padded JSON header, where the data start, and each tensor's offset from there."""
    header: dict[str, Any] = {"__metadata__": dict(directory.metadata)} if directory.metadata else {}
    places, offset = {}, 0
    for entry in sorted(directory.entries, key=lambda entry: -element_bytes(entry.dtype)):
        if entry.name == "__metadata__":
            raise InvalidInputError(
                "A tensor is called '__metadata__', which safetensors files cannot have: "
                "decompress to a .pt file."
            )
        shape, kind = list(entry.shape), _NAMES.get(entry.dtype)
        if kind is None or (kind in _IN_PAIRS and not shape):
            raise InvalidInputError(
                f"The tensor {entry.name!r} is {entry.dtype}, which safetensors files do not hold: "
                "decompress to a .pt file."
            )
        end = offset + entry.size * element_bytes(entry.dtype)
        if kind in _IN_PAIRS:
            shape[-1] *= 2
        header[entry.name] = {
            "dtype": kind,
            "shape": shape,
            "data_offsets": [offset, end],
        }
        places[entry.name], offset = offset, end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return text, 8 + len(text), places


def write_pytorch(stream: BinaryIO, reader: Tensors) -> int:
    """Decode a file into a PyTorch state dict, in memory and then to the stream; the number of tensors."""
    tensors = reader.state_dict()
    torch.save(tensors, stream)
    return len(tensors)
