"""Number formats: how a number's bits split into fields, and which number a dtype has in files."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from barycode.errors import InvalidInputError


@dataclass(frozen=True)
class FloatFormat:
    """Sign, exponent, mantissa, from the top bit down."""

    exponent_bits: int
    mantissa_bits: int

    @property
    def bias(self) -> int:
        return 2 ** (self.exponent_bits - 1) - 1


# The position of a name is its number in files: only ever append.
_NAMES = (
    *("float32", "float16", "bfloat16", "float64", "complex64", "complex128", "complex32"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"),
    *("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"),
    *("float8_e8m0fnu", "float4_e2m1fn_x2"),  # coded as bytes: there is no arithmetic
)
DTYPES: tuple[torch.dtype | None, ...] = tuple(getattr(torch, name, None) for name in _NAMES)
_FLOATS = {
    "float32": FloatFormat(8, 23),
    "float16": FloatFormat(5, 10),
    "bfloat16": FloatFormat(8, 7),
    "float64": FloatFormat(11, 52),
    "float8_e4m3fn": FloatFormat(4, 3),
    "float8_e5m2": FloatFormat(5, 2),
    "float8_e4m3fnuz": FloatFormat(4, 3),
    "float8_e5m2fnuz": FloatFormat(5, 2),
}
FLOATS = {getattr(torch, name): form for name, form in _FLOATS.items() if hasattr(torch, name)}
INTEGERS = frozenset(
    {
        *(torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    }
)
_PARTS = {torch.complex64: torch.float32, torch.complex128: torch.float64, torch.complex32: torch.float16}


@dataclass(frozen=True, eq=False)
class PlainTensor:
    """A tensor as an array, which goes from process to process without PyTorch's shared memory."""

    bits: NDArray[np.unsignedinteger]
    dtype: torch.dtype
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> "PlainTensor":
        return cls(to_bits(tensor), tensor.dtype, tuple(tensor.shape))

    def tensor(self) -> Tensor:
        return from_bits(self.bits, self.dtype, self.shape)


def dtype_code(dtype: torch.dtype, name: str) -> int:
    """The number of a dtype in files; InvalidInputError, with the tensor's name, where there is none."""
    if dtype not in DTYPES:
        raise InvalidInputError(
            f"The tensor {name!r} is {dtype}, which has no code in a file: store its parts (values, scales) "
            "as plain tensors."
        )
    return DTYPES.index(dtype)


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """Of the numbers that a tensor is made of: a complex number is two."""
    return _PARTS.get(dtype, dtype)


def element_bytes(dtype: torch.dtype) -> int:
    return dtype.itemsize


def to_bits(tensor: Tensor) -> NDArray[np.unsignedinteger]:
    """The numbers of a tensor, flat, as unsigned integers of their width: a view where that is possible."""
    width = element_bytes(real_dtype(tensor.dtype))
    plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().flatten()
    return plain.view(torch.uint8).numpy().view(np.dtype(f"=u{width}"))


def from_bits(bits: NDArray[np.unsignedinteger], dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """The tensor whose numbers are these."""
    return torch.from_numpy(np.ascontiguousarray(bits).view(np.uint8)).view(dtype).reshape(shape)
